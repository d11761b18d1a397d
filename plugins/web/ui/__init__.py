"""The pages for who is signed in, one module a noun. Each is in the navigation by the hook that third parties use."""

from __future__ import annotations

from roci import Roci, hookimpl

from ..language import N_
from ..shell import Page, Tab
from . import dashboard
from .activity import operations
from .activity import pages as activity
from .alerts import pages as alerts
from .applications import editor, environment, history
from .applications import pages as applications
from .automation import pages as automation
from .containers import logs, terminal
from .containers import pages as containers
from .hosts import inventory, joining, metrics
from .hosts import pages as hosts
from .people import pages as people
from .policies import pages as policies
from .server import settings, system


@hookimpl
def register_pages(roci: Roci) -> list[Page]:
    return [
        Page("dashboard", N_("Overview"), "/", dashboard.routes),
        Page("hosts", N_("Hosts"), "/hosts", hosts.routes, "hosts.read"),
        Page("applications", N_("Applications"), "/applications", applications.routes, "applications.read"),
        Page("joining", "", "/hosts/add", joining.routes),
        Page("editor", "", "/applications/new", editor.routes),
        Page("operations", "", "/operations", operations.routes),
        Page("containers", N_("Containers"), "/containers", containers.routes, "hosts.read"),
        Page("logs", N_("Logs"), "/logs", logs.routes, "containers.logs"),
        Page("activity", N_("Activity"), "/activity", activity.routes, "operations.read", N_("Watch"), "/operations"),
        Page("alerts", N_("Alerts"), "/alerts", alerts.routes, "alerts.read", N_("Watch")),
        Page("policies", N_("Policies"), "/policies", policies.routes, "policies.read", N_("Administer")),
        Page("automation", N_("Automation"), "/automation", automation.routes, "automation.list", N_("Administer")),
        Page("people", N_("People and access"), "/people", people.routes, "principals.list", N_("Administer")),
        Page("settings", N_("Settings"), "/settings", settings.routes, "server.read", N_("Administer")),
        Page("system", N_("System"), "/system", system.routes, "server.read", N_("Administer")),
    ]


@hookimpl
def register_tabs(roci: Roci) -> list[Tab]:
    return [
        Tab("", N_("Overview"), "host", hosts.routes),
        Tab("metrics", N_("Metrics"), "host", metrics.routes, "metrics.read"),
        Tab("images", N_("Images"), "host", inventory.routes, "hosts.read"),
        Tab("volumes", N_("Volumes"), "host", inventory.routes, "hosts.read"),
        Tab("networks", N_("Networks"), "host", inventory.routes, "hosts.read"),
        Tab("prune", N_("Prune"), "host", inventory.routes, "hosts.prune"),
        Tab("logs", N_("Logs"), "host", logs.routes, "containers.logs"),
        Tab("terminal", N_("Terminal"), "host", terminal.routes, "hosts.terminal"),
        Tab("manage", N_("Manage"), "host", hosts.routes),
        Tab("", N_("Services"), "application", applications.routes),
        Tab("compose", N_("Compose"), "application", applications.routes),
        Tab("environment", N_("Environment"), "application", environment.routes),
        Tab("logs", N_("Logs"), "application", logs.routes, "containers.logs"),
        Tab("terminal", N_("Terminal"), "application", terminal.routes, "hosts.terminal"),
        Tab("history", N_("History"), "application", history.routes),
        Tab("manage", N_("Manage"), "application", applications.routes),
    ]
