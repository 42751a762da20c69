"""`python -m reference_cnn` is `reference-cnn`."""

import sys

from reference_cnn.cli import main

sys.exit(main())
