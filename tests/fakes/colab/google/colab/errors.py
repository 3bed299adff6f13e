"""The package's public errors."""


class Error(Exception):
    """Base class of the package's errors."""


class AuthorizationError(Error):
    """A log-in failed."""


class RuntimeManagementError(Error):
    """The machine could not be given back."""
