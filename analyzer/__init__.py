"""Reads a repository of manifests, and says what is wrong with it and what a change of it does.

In the order in which it happens: snapshot (and git) → composer → document → manifest → roots → scope → graph, by edges
→ rules, asked by ask → triage → report; analyze does all of it. Two reports → impact, with access and authority; for a
pull request → check. render writes what was found. incremental does the same again for no more than what differs.
"""
