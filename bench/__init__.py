"""The benchmarks: `make bench`, or `python -m bench --help`.

`plan` says what is measured, `worker` measures one thing once in a process and a network of its own, `load.c` is the
kernel's side of it, `runner` repeats and compares, `report` prints. Over bad paths it is `paths` and `goodput`: a
`trial` runs two processes, each one `end`, and between them `relay.c`. No figure is a test verdict.
"""
