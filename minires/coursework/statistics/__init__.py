"""What a class's results say of each question: `questions` counts, `outputs` shows."""
