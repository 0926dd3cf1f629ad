"""Text recognition (OCR): pages that are pictures become text, each with how sure it is."""
