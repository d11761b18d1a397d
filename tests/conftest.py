"""For the whole suite. In a checkout `roci_plugins` exists once `roci` has been imported, so that comes first."""

from hypothesis import settings

import roci  # noqa: F401

# A machine may stand still for a moment, which is no mistake of what is tried then.
settings.register_profile("ours", settings(), deadline=None)
settings.load_profile("ours")

pytest_plugins = ["roci_plugins.testing"]
