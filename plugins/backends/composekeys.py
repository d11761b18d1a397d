"""The keys that the Compose format knows, to tell of those it does not. A newer Compose may know more."""

from __future__ import annotations

import difflib


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


ROOT = _words("version name include services networks volumes configs secrets models")
SERVICE = _words(
    "annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name",
    "cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset",
    "credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname",
    "entrypoint env_file environment expose extends external_links extra_hosts gpus group_add healthcheck",
    "hostname image init ipc isolation label_file labels links logging mac_address mem_limit mem_reservation",
    "mem_swappiness memswap_limit models network_mode networks oom_kill_disable oom_score_adj pid pids_limit",
    "platform ports post_start pre_start pre_stop privileged profiles provider pull_policy read_only restart",
    "runtime scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls",
    "tmpfs tty ulimits use_api_socket user userns_mode uts volumes volumes_from working_dir",
)
HEALTHCHECK = _words("test interval timeout retries start_period start_interval disable")
NETWORK = _words("name external driver driver_opts ipam internal attachable labels enable_ipv4 enable_ipv6")
VOLUME = _words("name external driver driver_opts labels")


def meant(key: str, known: frozenset[str]) -> str | None:
    """The known key that looks most like this one."""
    found = difflib.get_close_matches(key.lower().replace("-", "_"), known, 1, 0.75)
    return found[0] if found else None
