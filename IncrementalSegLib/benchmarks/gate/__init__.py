"""How often the retention gate is wrong on real scans."""
