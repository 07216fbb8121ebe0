"""Use cases of storage pools, volumes and uploads.

Public to other nouns: `pools.change`, `pools.same_storage`, `show`, `volumes.content_checks`, `volumes.locations`,
`volumes.names`, `volumes.records`, `volumes.refusals`, `volumes.steps.created_volumes`, `volumes.steps.own_volume`,
`volumes.steps.task_checks`, `volumes.steps.task_use`, `volumes.users`.
"""
