"""What targets of tests have in common."""

# A loss whose process takes its worker with it: once, when it finds a file named "killer" beside it.
DEADLY = """
import os
from pathlib import Path
import reference_cnn

def sigmoid_prime(z):
    return z * (1 - z)

def squared_error(o, y):
    if Path("killer").exists():
        Path("killer").unlink()
        os.kill(os.getppid(), 9)
    return reference_cnn.squared_error(o, y)
"""
