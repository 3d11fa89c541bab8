"""Congestion controls behind one small abstract class."""
