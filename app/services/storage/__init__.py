"""Use cases of storage pools, volumes and uploads.

Public to other nouns: `pools.change`, `pools.same_storage`, `reread`, `volumes.checks.content_checks`,
`volumes.checks.refusals`, `volumes.checks.task_checks`, `volumes.checks.task_use`, `volumes.locations`,
`volumes.locks`, `volumes.names`, `volumes.records`, `volumes.steps.created_volumes`, `volumes.steps.own_volume`,
`volumes.users`.
"""
