"""Drawing the page of a report and its Markdown twin from its records."""
