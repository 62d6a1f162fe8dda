"""A local Slack: a loopback server that an unmodified Slack app uses by base URL and tokens,
and a page for people.

It knows nothing about the app that talks to it; everything of the app comes from its Slack
manifest.
"""
