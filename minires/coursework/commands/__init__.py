"""The commands `minires grade`, `minires check` and `minires coursework`."""
