"""Are an assignment's tests any good? Every small change of the solutions has to lose points.

`mutants` makes the changes with `expressions`, `statements` and `states` on trees of `syntax`;
`judging` judges each in a `forked` process, `mechanical` all of them, `survivors` tells what came
of it, and `notes` holds what authors know of those that live.
"""
