"""Students' code runs in a child process that can do no harm; nothing is judged there.

`parent` starts a child, asks it and ends it. In the fresh process `isolation` takes its rights away
and `boot` loads what runs there: `child`, which calls the student's code through `guard` and
`handles`, of statements that `script` chooses, and tells with `values` and `wire` what came of it.
"""
