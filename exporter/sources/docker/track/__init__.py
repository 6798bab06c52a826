"""Puts the events of one engine together into jobs that started or ended.

``tracker`` hands on what is received:

* events: ``lifecycle`` starts and ends runs, ``failed_starts`` finds the starts that failed, ``run_events``
  adds what happens during a run;
* the kernel's reports: ``kernel_facts``;
* lists of all containers: ``reconcile``.

They change the containers in ``state`` (``containers``, ``container``, ``run``, ``start_attempt``). A run
that has ended waits in ``pending_exits`` for late evidence, most of all for OOM kills: ``oom_attribution``
and ``oom_matcher`` decide whose they are. It then leaves with its ``run_facts`` as an outcome of ``state``,
whose ``checkpoint`` says from where to read the events after a restart.
"""
