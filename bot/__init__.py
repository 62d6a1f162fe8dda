"""katib-tune: tune LLM fine-tuning from a Slack thread."""

__version__ = "0.1.0"
