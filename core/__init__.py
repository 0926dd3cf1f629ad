"""What the product knows. Imports neither pages, ingest nor Streamlit."""
