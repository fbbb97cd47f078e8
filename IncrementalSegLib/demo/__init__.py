"""The demonstration on made-up scans."""
