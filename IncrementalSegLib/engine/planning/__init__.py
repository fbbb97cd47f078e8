"""Advice and estimates before a step: method, time, memory."""
