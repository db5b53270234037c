"""From one submission to its result, and from a class to a folder of results.

`grade` asks the sandbox and has each answer judged; `feedback` says why one is wrong, as far as
`discretion` allows. `run` grades a class on the `same_tests`, and `store` keeps the results.
"""
