"""From results to what students get and teachers read.

`rules` are what an instructor decides, `slips` what may not be meant so, `late` what a date costs,
`points` what comes of it; `publish` writes it as `outputs`, as a `page` for each student, and
`show` prints it. `identifiers` are names that tell nobody.
"""
