"""The pages for who is signed in, one module a noun. Each is in the navigation by the hook that third parties use."""

from __future__ import annotations

from roci import Roci, hookimpl

from ..shell import Page
from . import applications, dashboard, hosts, operations


@hookimpl
def register_pages(roci: Roci) -> list[Page]:
    return [
        Page("dashboard", "Overview", "/", dashboard.routes),
        Page("hosts", "Hosts", "/hosts", hosts.routes, "hosts.read"),
        Page("applications", "Applications", "/applications", applications.routes, "applications.read"),
        Page("operations", "Operations", "/operations", operations.routes, "operations.read", "Watch"),
    ]
