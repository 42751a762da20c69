"""The oracle: whether somebody else's implementation is right, and if not, what is wrong with it."""

from reference_cnn.oracle.cases import Case, cases
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.report import Report, Result
from reference_cnn.oracle.run import check
from reference_cnn.oracle.targets import TargetError

__all__ = ["Case", "Failure", "Report", "Result", "TargetError", "cases", "check"]
