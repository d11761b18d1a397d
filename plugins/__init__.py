"""The plugins that ship with ROCI, in the order they are asked."""

# Cannot be left out: without them there is nothing to extend.
ESSENTIAL: tuple[str, ...] = (
    "domain.events",
    "domain.roles",
    "domain.principals",
    "domain.access",
    "domain.credentials",
    "domain.hosts",
    "domain.hostkeys",
    "domain.policies",
    "domain.applications",
    "domain.secrets",
    "domain.factors",
    "domain.providers",
    "domain.spaces",
    "domain.operations",
    "domain.deployments",
    "agent.hub",
    "secretstores",
    "work.vault",
    "work.enrol",
    "work.operate",
    "work.deploy",
    "work.health",
    "work.refusals",
    "surfaces.refusals",
    "agent.local",
    "agent.socket",
    "auth.rbac",
    "auth.passwords",
    "auth.steps",
    "auth.factors",
    "auth.first_run",
)

# Can be left out by name: `disable: [backends.docker]`.
DEFAULT: tuple[str, ...] = (
    "secretstores.folder",
    "facts.address",
    "facts.presented",
    "matchers.network",
    "matchers.names",
    "matchers.tokens",
    "matchers.time",
    "matchers.logic",
    "backends.compose",
    "backends.docker",
    "agent.commands.projects",
    "agent.commands.compose",
    "agent.commands.containers",
    "auth.open",
    "auth.jwt",
    "auth.oidc",
    "auth.bearer",
    "auth.hostkeys",
    "auth.cookies",
    "surfaces.native",
    "surfaces.rootcx",
    "surfaces.chatops",
    "surfaces.raworc",
    "surfaces.openapi",
    "web",
    "web.install",
)

# Those that add to the command line; nothing else is loaded for `roci --help`.
COMMANDS: tuple[str, ...] = (
    "commands.serve",
    "commands.agent",
    "commands.people",
    "commands.access",
    "commands.audit",
    "commands.secrets",
    "commands.init",
    "commands.plugins",
    "commands.doctor",
    "commands.backup",
)

# Those that a host's agent needs.
AGENT: tuple[str, ...] = (
    "backends.compose",
    "backends.docker",
    "agent.commands.projects",
    "agent.commands.compose",
    "agent.commands.containers",
)
