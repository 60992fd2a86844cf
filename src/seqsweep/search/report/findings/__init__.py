"""What a sweep has found, as files: figures, the table of its trials and a report in Markdown."""
