BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE cursors (
	engine VARCHAR NOT NULL, 
	event_ns BIGINT NOT NULL, 
	floor_ns BIGINT NOT NULL, 
	read_ns BIGINT NOT NULL, 
	PRIMARY KEY (engine)
);
INSERT INTO "cursors" VALUES('unix:///run/docker.sock',1700000022500000000,1795881894710328276,1795881909199374357);
CREATE TABLE identity (
	once INTEGER NOT NULL, 
	instance_id VARCHAR NOT NULL, 
	PRIMARY KEY (once)
);
INSERT INTO "identity" VALUES(1,'e1329e79-3ed7-4a8b-bedb-66ac1db284af');
CREATE TABLE jobs (
	id VARCHAR NOT NULL, 
	container_id VARCHAR NOT NULL, 
	attempt INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	instance VARCHAR NOT NULL, 
	engine VARCHAR NOT NULL, 
	workload VARCHAR NOT NULL, 
	image VARCHAR NOT NULL, 
	repository VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	code BIGINT, 
	reason VARCHAR, 
	termination VARCHAR, 
	error VARCHAR, 
	recovery VARCHAR, 
	evidence JSON NOT NULL, 
	oom_kills INTEGER NOT NULL, 
	memory_limit_bytes BIGINT, 
	began_ns BIGINT NOT NULL, 
	created_ns BIGINT, 
	started_ns BIGINT, 
	finished_ns BIGINT, 
	restarts INTEGER, 
	kills JSON NOT NULL, 
	oom_witnesses JSON NOT NULL, 
	traceparent VARCHAR, 
	trace_id VARCHAR, 
	span_id VARCHAR, 
	parent_span_id VARCHAR, 
	log_tail VARCHAR, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('000000000001-1','0000000000010000000000000000000000000000000000000000000000000000',1,'job-1','build-7','unix:///run/docker.sock','job','job:1','job','done',0,'Completed','DONE',NULL,'none','[]',0,NULL,1700000001000000000,1700000000000000000,1700000001000000000,1700000001500000000,0,'[]','[]',NULL,'f997e364b11939350a4ae672d7a7d23e','7d93e44d13c0e067',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000002-1','0000000000020000000000000000000000000000000000000000000000000000',1,'job-2','build-7','unix:///run/docker.sock','nightly','resize:1','resize','failed',137,'OOMKilled','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)','more-memory','["The engine reported an OOM kill 0.100 s before the end."]',1,67108864,1700000002000000000,1700000000000000000,1700000002000000000,1700000002500000000,0,'[]','[["EVENT", 1700000002400000000]]',NULL,'bbf95b0eeefaac1af6358671b620b4b9','9e7560555df867be',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000003-1','0000000000030000000000000000000000000000000000000000000000000000',1,'job-3','build-7','unix:///run/docker.sock','job','job:1','job','done',0,'Completed','DONE',NULL,'none','["The engine reported an OOM kill 0.200 s before the end."]',1,NULL,1700000003000000000,1700000000000000000,1700000003000000000,1700000003500000000,0,'[]','[["EVENT", 1700000003300000000]]',NULL,'6fd21fc69d70b57b2183901aa4379e72','a354b348470ca686',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000004-1','0000000000040000000000000000000000000000000000000000000000000000',1,'job-4','build-7','unix:///run/docker.sock','job','job:1','job','terminated',143,'Terminated','TERMINATED_BY_USER','JOB_TERMINATED (TERMINATED_BY_USER, exit code: 143 - Terminated)','none','["The engine was asked to send SIGTERM 0.100 s before the end."]',0,NULL,1700000004000000000,1700000000000000000,1700000004000000000,1700000004500000000,0,'[[15, 1700000004400000000]]','[]',NULL,'222105fcb1ba8d1916438fcb7179899f','08c778253b5c1e20',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000005-1','0000000000050000000000000000000000000000000000000000000000000000',1,'job-5','build-7','unix:///run/docker.sock','trainer','trainer:1','trainer','failed',42,'CheckpointCorrupt','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 42 - CheckpointCorrupt)','fix-command','[]',0,NULL,1700000005000000000,1700000000000000000,1700000005000000000,1700000005500000000,0,'[]','[]',NULL,'b474fe1bb4a098f7278728acbd194247','d32730cd5b6e5a4a',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000006-1','0000000000060000000000000000000000000000000000000000000000000000',1,'job-6','build-7','unix:///run/docker.sock','registry.example/tools/convert','registry.example/tools/convert:3','registry.example/tools/convert','failed',42,'DataError','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 42 - DataError)','fix-command','[]',0,NULL,1700000006000000000,1700000000000000000,1700000006000000000,1700000006500000000,0,'[]','[]',NULL,'46923101be751296c2dafce740297fd2','7e180480535b7082',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000007-1','0000000000070000000000000000000000000000000000000000000000000000',1,'job-7','build-7','unix:///run/docker.sock','job','job:1','job','failed',1,'Error','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - Error)','fix-code','[]',0,NULL,1700000007000000000,1700000000000000000,1700000007000000000,1700000007500000000,NULL,'[]','[]',NULL,'ee53ab1bec18bda371d9a45e252c9930','17be258c19dc75fd',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000007-2','0000000000070000000000000000000000000000000000000000000000000000',2,'job-7','build-7','unix:///run/docker.sock','job','job:1','job','failed',1,'Error','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - Error)','fix-code','[]',0,NULL,1700000007600000000,1700000000000000000,1700000007600000000,1700000007900000000,1,'[]','[]',NULL,'8b498e668e3684c9c2996c81d9d1b405','2f09655815c48f56',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000008-1','0000000000080000000000000000000000000000000000000000000000000000',1,'job-8','build-7','unix:///run/docker.sock','job','job:1','job','failed',3,'Misuse','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 3 - Misuse)','fix-command','[]',0,NULL,1700000008000000000,1700000000000000000,1700000008000000000,1700000008500000000,0,'[]','[]','not one','dd26db95033bf23296b4e2d26f0d781c','29318e8fa7d863f4',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000009-1','0000000000090000000000000000000000000000000000000000000000000000',1,'job-9','build-7','unix:///run/docker.sock','job','job:1','job','failed',2,'Misuse','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 2 - Misuse)','fix-command','[]',0,NULL,1700000009000000000,1700000000000000000,1700000009000000000,1700000009500000000,0,'[]','[]',NULL,'1f539468a8cd080dc17f190527a8b663','3d0b51902dc61701',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000014-1','0000000000140000000000000000000000000000000000000000000000000000',1,'job-20','build-7','unix:///run/docker.sock','trainer','trainer:2','trainer','running',NULL,NULL,NULL,NULL,NULL,'[]',0,134217728,1700000020000000000,1700000000000000000,1700000020000000000,NULL,0,'[]','[]',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('000000000016-1','0000000000160000000000000000000000000000000000000000000000000000',1,'job-22','build-7','unix:///run/docker.sock','trainer','trainer:2','trainer','done',0,'Completed','DONE',NULL,'none','[]',0,134217728,1700000022000000000,1700000000000000000,1700000022000000000,1700000022500000000,0,'[]','[]',NULL,'2d407a376afa6416b7c24d1be7249d12','5aa27d6cb8418f81',NULL,NULL);
INSERT INTO "jobs" VALUES('000000000015-1','0000000000150000000000000000000000000000000000000000000000000000',1,'job-21','build-7','unix:///run/docker.sock','trainer','trainer:2','trainer','unknown',NULL,'Unknown','EXIT_NOT_OBSERVED','JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)','none','[]',0,134217728,1700000021000000000,1700000000000000000,1700000021000000000,1795881906667279493,0,'[]','[]',NULL,'43447cf3de24ad714f1b5e220d5468a9','693e41381504d5b9',NULL,NULL);
CREATE TABLE outbox (
	number INTEGER NOT NULL, 
	job_id VARCHAR NOT NULL, 
	signal VARCHAR NOT NULL, 
	kept_ns BIGINT NOT NULL, 
	aside BOOLEAN NOT NULL, 
	refused VARCHAR, 
	PRIMARY KEY (number), 
	UNIQUE (job_id, signal)
);
INSERT INTO "outbox" VALUES(1,'000000000008-1','logs',1795881898710155193,0,'HTTP 400: scripted failure');
INSERT INTO "outbox" VALUES(2,'000000000008-1','traces',1795881898710155193,0,'HTTP 400: scripted failure');
INSERT INTO "outbox" VALUES(3,'000000000009-1','logs',1795881905797522343,0,NULL);
INSERT INTO "outbox" VALUES(4,'000000000009-1','traces',1795881905797522343,0,NULL);
INSERT INTO "outbox" VALUES(5,'000000000016-1','logs',1795881906723896913,0,NULL);
INSERT INTO "outbox" VALUES(6,'000000000016-1','traces',1795881906723896913,0,NULL);
INSERT INTO "outbox" VALUES(7,'000000000015-1','logs',1795881906723896913,0,NULL);
INSERT INTO "outbox" VALUES(8,'000000000015-1','traces',1795881906723896913,0,NULL);
CREATE TABLE pruned (
	once INTEGER NOT NULL, 
	before_ns BIGINT NOT NULL, 
	PRIMARY KEY (once)
);
CREATE TABLE series (
	name VARCHAR NOT NULL, 
	labels VARCHAR NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (name, labels)
);
INSERT INTO "series" VALUES('exit_exporter_store_errors_total','[]',1.0);
INSERT INTO "series" VALUES('exit_exporter_event_gaps_total','["unix:///run/docker.sock"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_workloads_folded_total','[]',1.0);
INSERT INTO "series" VALUES('exit_exporter_rows_given_up_total','[]',0.0);
INSERT INTO "series" VALUES('exit_exporter_engine_reconnects_total','["unix:///run/docker.sock"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_exits_unobserved_total','["build-7"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_engine_events_total','["unix:///run/docker.sock", "die"]',10.0);
INSERT INTO "series" VALUES('exit_exporter_exits_recovered_total','["build-7"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_store_commit_seconds','["2"]',6.0);
INSERT INTO "series" VALUES('exit_exporter_engine_events_total','["unix:///run/docker.sock", "oom"]',2.0);
INSERT INTO "series" VALUES('exit_exporter_store_commit_seconds','["sum"]',2.57263359999342355877e-02);
INSERT INTO "series" VALUES('exit_exporter_engine_events_total','["unix:///run/docker.sock", "kill"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_engine_events_total','["unix:///run/docker.sock", "start"]',13.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "done", "0", "Completed"]',2.0);
INSERT INTO "series" VALUES('container_oom_kills_total','["build-7", "job", "job"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "done", "1"]',2.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "done", "sum"]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "nightly", "resize", "failed", "137", "OOMKilled"]',1.0);
INSERT INTO "series" VALUES('container_oom_kills_total','["build-7", "nightly", "resize"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "nightly", "failed", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "nightly", "failed", "sum"]',0.5);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "terminated", "143", "Terminated"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "terminated", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "terminated", "sum"]',0.5);
INSERT INTO "series" VALUES('container_memory_limit_bytes','["build-7", "job"]',0.0);
INSERT INTO "series" VALUES('container_memory_limit_bytes','["build-7", "nightly"]',67108864.0);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "job", "done"]',1700000003.5);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "nightly", "failed"]',1700000002.5);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "job", "terminated"]',1700000004.5);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "trainer", "trainer", "failed", "42", "CheckpointCorrupt"]',1.0);
INSERT INTO "series" VALUES('container_oom_kills_total','["build-7", "trainer", "trainer"]',0.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "trainer", "failed", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "trainer", "failed", "sum"]',0.5);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "Other", "Other", "failed", "42", "DataError"]',1.0);
INSERT INTO "series" VALUES('container_oom_kills_total','["build-7", "Other", "Other"]',0.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "Other", "failed", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "Other", "failed", "sum"]',0.5);
INSERT INTO "series" VALUES('container_memory_limit_bytes','["build-7", "trainer"]',134217728.0);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "trainer", "failed"]',1700000005.5);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "Other", "failed"]',1700000006.5);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "failed", "1", "Error"]',2.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "failed", "1"]',4.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "failed", "sum"]',1.8);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "job", "failed"]',1700000009.5);
INSERT INTO "series" VALUES('exit_exporter_spans_given_up_total','["traces"]',2.0);
INSERT INTO "series" VALUES('exit_exporter_spans_given_up_total','["logs"]',2.0);
INSERT INTO "series" VALUES('exit_exporter_spans_exported_total','["traces"]',6.0);
INSERT INTO "series" VALUES('exit_exporter_spans_rejected_total','["traces"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_spans_exported_total','["logs"]',6.0);
INSERT INTO "series" VALUES('exit_exporter_spans_rejected_total','["logs"]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "failed", "3", "Misuse"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_traceparents_ignored_total','[]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "failed", "2", "Misuse"]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "trainer", "trainer", "done", "0", "Completed"]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "trainer", "trainer", "failed", "137", "OOMKilled"]',0.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "trainer", "done", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "trainer", "done", "sum"]',0.5);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "trainer", "trainer", "unknown", "unknown", "Unknown"]',1.0);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "trainer", "done"]',1700000022.5);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "trainer", "unknown"]',1.79588190666727948183e+09);
INSERT INTO "series" VALUES('exit_exporter_store_commit_seconds','["3"]',1.0);
CREATE INDEX jobs_newest ON jobs (began_ns, id);
CREATE INDEX jobs_by_status ON jobs (status, began_ns);
CREATE INDEX jobs_of_container ON jobs (container_id, attempt);
CREATE INDEX outbox_waiting ON outbox (signal, aside, number);
COMMIT;
