"""For the whole suite. In a checkout `roci_plugins` exists once `roci` has been imported, so that comes first."""

import roci  # noqa: F401

pytest_plugins = ["roci_plugins.testing"]
