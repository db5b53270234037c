"""What a class handed in, and whose it is.

`collect` puts it together: `entries` and `archives` say what there is, `platforms` and `folders`
whose it is, `roster` and `people` who is in the class, and `missed` keeps what was not graded.
"""
