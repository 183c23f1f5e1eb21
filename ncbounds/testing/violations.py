"""The one error of the contract battery."""


class ContractViolation(AssertionError):
    """A bound breaks its contract; the message says which line is missing or wrong."""
