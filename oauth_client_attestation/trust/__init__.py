"""Rules T: whose key is this, and for whom is it trusted?"""
