"""Where studies are stored: a database, or what stands in for one."""
