"""The studio: uploads and their checks, jobs and their videos."""
