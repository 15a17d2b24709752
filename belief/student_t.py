"""The Student-t distribution, as far as several models need it."""

import math


def student_log_constant(dof: float) -> float:
    """Log of the factor in front of the Student-t density of scale 1.

    Args:
        dof: degrees of freedom, positive.
    """
    upper, lower = math.lgamma((dof + 1.0) / 2.0), math.lgamma(dof / 2.0)
    return upper - lower - 0.5 * math.log(dof * math.pi)
