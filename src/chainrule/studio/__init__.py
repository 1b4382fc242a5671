"""The studio: a local page on which a network is trained, looked into and read.

`guard` refuses what does not come from the page itself, `server` carries messages, and everything that is
shown comes from the library that the command line uses. It needs the extra ``chainrule[studio]``.
"""
