"""What is to run where: configurations, options, memory and speed by arithmetic. No torch in here."""
