BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0004');
CREATE TABLE cursors (
	engine VARCHAR NOT NULL, 
	event_ns BIGINT NOT NULL, 
	floor_ns BIGINT NOT NULL, 
	read_ns BIGINT NOT NULL, 
	PRIMARY KEY (engine)
);
INSERT INTO "cursors" VALUES('unix:///run/docker.sock',1700000022500000000,1795881912157552492,1795881926471496889);
CREATE TABLE identity (
	once INTEGER NOT NULL, 
	instance_id VARCHAR NOT NULL, 
	PRIMARY KEY (once)
);
INSERT INTO "identity" VALUES(1,'e88ef98d-0ea1-4f87-961d-198379ebf88e');
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
	event_ns BIGINT, 
	start_error VARCHAR, 
	oom_limit VARCHAR, 
	causes JSON, 
	not_known JSON, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('000000000001-nmauuq62','0000000000010000000000000000000000000000000000000000000000000000',1,'job-1','build-7','unix:///run/docker.sock','job','job:1','job','done',0,'Completed','DONE',NULL,'none','[]',0,NULL,1700000001000000000,1700000000000000000,1700000001000000000,1700000001500000000,0,'[]','[]',NULL,'a013ff9c88f56b40cec7b9f5e938d597','0a59c98a5a45f976',NULL,NULL,1700000001500000000,NULL,NULL,'[]','[]');
INSERT INTO "jobs" VALUES('000000000002-24ttnoig','0000000000020000000000000000000000000000000000000000000000000000',1,'job-2','build-7','unix:///run/docker.sock','nightly','resize:1','resize','failed',137,'OOMKilled','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)','more-memory','["The engine reported an OOM kill 0.100 s before the end."]',1,67108864,1700000002000000000,1700000000000000000,1700000002000000000,1700000002500000000,0,'[]','[["EVENT", 1700000002400000000]]',NULL,'f7792403b07199fe76d1634235050e65','817769b5a4295c81',NULL,NULL,1700000002500000000,NULL,NULL,'[]','["Which process was killed, and at whose limit: the kernel''s log could not be read."]');
INSERT INTO "jobs" VALUES('000000000003-qrtxcs6n','0000000000030000000000000000000000000000000000000000000000000000',1,'job-3','build-7','unix:///run/docker.sock','job','job:1','job','done',0,'Completed','DONE',NULL,'none','["The engine reported an OOM kill 0.200 s before the end."]',1,NULL,1700000003000000000,1700000000000000000,1700000003000000000,1700000003500000000,0,'[]','[["EVENT", 1700000003300000000]]',NULL,'9a02389a9e733b1f04fd041ca4f6995b','60e6ae72d4668080',NULL,NULL,1700000003500000000,NULL,'host','["The host itself was out of memory: run it elsewhere or later, or give it a limit of its own"]','[]');
INSERT INTO "jobs" VALUES('000000000004-wsrz53xb','0000000000040000000000000000000000000000000000000000000000000000',1,'job-4','build-7','unix:///run/docker.sock','job','job:1','job','terminated',143,'Terminated','TERMINATED_BY_USER','JOB_TERMINATED (TERMINATED_BY_USER, exit code: 143 - Terminated)','none','["The engine was asked to send SIGTERM 0.100 s before the end."]',0,NULL,1700000004000000000,1700000000000000000,1700000004000000000,1700000004500000000,0,'[[15, 1700000004400000000]]','[]',NULL,'95230b8da50be5d02b450cd1ab9b1f2f','1e0dca499835eb65',NULL,NULL,1700000004500000000,NULL,NULL,'[]','[]');
INSERT INTO "jobs" VALUES('000000000005-b7oj2xhn','0000000000050000000000000000000000000000000000000000000000000000',1,'job-5','build-7','unix:///run/docker.sock','trainer','trainer:1','trainer','failed',42,'CheckpointCorrupt','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 42 - CheckpointCorrupt)','fix-command','[]',0,NULL,1700000005000000000,1700000000000000000,1700000005000000000,1700000005500000000,0,'[]','[]',NULL,'2148ca279a35aee7b5cfc99192fe5533','a6bdd3e641132545',NULL,NULL,1700000005500000000,NULL,NULL,'[]','["Whether the kernel killed it for memory and no event told: the kernel could not be asked."]');
INSERT INTO "jobs" VALUES('000000000006-dqoblqcq','0000000000060000000000000000000000000000000000000000000000000000',1,'job-6','build-7','unix:///run/docker.sock','registry.example/tools/convert','registry.example/tools/convert:3','registry.example/tools/convert','failed',42,'DataError','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 42 - DataError)','fix-command','[]',0,NULL,1700000006000000000,1700000000000000000,1700000006000000000,1700000006500000000,0,'[]','[]',NULL,'35e244ab125bb8947d4428406fc29f7f','ecbfc7b3a2d41d2b',NULL,NULL,1700000006500000000,NULL,NULL,'[]','["Whether the kernel killed it for memory and no event told: the kernel could not be asked."]');
INSERT INTO "jobs" VALUES('000000000007-jejrlmef','0000000000070000000000000000000000000000000000000000000000000000',1,'job-7','build-7','unix:///run/docker.sock','job','job:1','job','failed',1,'Error','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - Error)','fix-code','[]',0,NULL,1700000007000000000,1700000000000000000,1700000007000000000,1700000007500000000,NULL,'[]','[]',NULL,'5c83cec1a944d559fa6a554929f9c77a','febb221c09809560',NULL,NULL,1700000007500000000,NULL,NULL,'[]','["The engine''s own time of its end: the time is that of the engine''s event.", "Whether the kernel killed it for memory and no event told: the kernel could not be asked."]');
INSERT INTO "jobs" VALUES('000000000007-ywb7fjap','0000000000070000000000000000000000000000000000000000000000000000',2,'job-7','build-7','unix:///run/docker.sock','job','job:1','job','failed',1,'Error','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - Error)','fix-code','[]',0,NULL,1700000007600000000,1700000000000000000,1700000007600000000,1700000007900000000,1,'[]','[]',NULL,'68fce9d60f4ea665786a22fecea9532c','4ceff3a2b287f37c',NULL,NULL,1700000007900000000,NULL,NULL,'[]','["Whether the kernel killed it for memory and no event told: the kernel could not be asked."]');
INSERT INTO "jobs" VALUES('000000000008-tlfdrrhn','0000000000080000000000000000000000000000000000000000000000000000',1,'job-8','build-7','unix:///run/docker.sock','job','job:1','job','failed',3,'Misuse','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 3 - Misuse)','fix-command','[]',0,NULL,1700000008000000000,1700000000000000000,1700000008000000000,1700000008500000000,0,'[]','[]','not one','36e9584a210c0a6348ae320f7dd7ae22','533ec934aead8985',NULL,NULL,1700000008500000000,NULL,NULL,'[]','["Whether the kernel killed it for memory and no event told: the kernel could not be asked."]');
INSERT INTO "jobs" VALUES('000000000009-aibricuz','0000000000090000000000000000000000000000000000000000000000000000',1,'job-9','build-7','unix:///run/docker.sock','job','job:1','job','failed',2,'Misuse','CONTAINER_EXITED_WITH_ERROR','JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 2 - Misuse)','fix-command','[]',0,NULL,1700000009000000000,1700000000000000000,1700000009000000000,1700000009500000000,0,'[]','[]',NULL,'fd881d7428c0f01dc0d1b83464ec0be3','7cd0d9be347a1351',NULL,NULL,1700000009500000000,NULL,NULL,'[]','["Whether the kernel killed it for memory and no event told: the kernel could not be asked."]');
INSERT INTO "jobs" VALUES('000000000015-6sahw5zh','0000000000150000000000000000000000000000000000000000000000000000',1,'job-21','build-7','unix:///run/docker.sock','trainer','trainer:2','trainer','unknown',NULL,'Unknown','EXIT_NOT_OBSERVED','JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)','none','[]',0,134217728,1700000021000000000,1700000000000000000,1700000021000000000,1795881923843625996,0,'[]','[]',NULL,'73bb42da0159eea2da56022a903eaa8d','dc8218bbb6df0ac2',NULL,NULL,NULL,NULL,NULL,'[]','["Its end was not seen: requests to stop it and OOM kills just before it may be missing.", "The engine''s own time of its end: the time is that of the engine''s event.", "Events were missed while it ran: requests to stop it and OOM kills may be missing."]');
INSERT INTO "jobs" VALUES('000000000014-ues7cnin','0000000000140000000000000000000000000000000000000000000000000000',1,'job-20','build-7','unix:///run/docker.sock','trainer','trainer:2','trainer','running',NULL,NULL,NULL,NULL,NULL,'[]',0,134217728,1700000020000000000,1700000000000000000,1700000020000000000,NULL,0,'[]','[]',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]','[]');
INSERT INTO "jobs" VALUES('000000000016-a2twjejr','0000000000160000000000000000000000000000000000000000000000000000',1,'job-22','build-7','unix:///run/docker.sock','trainer','trainer:2','trainer','done',0,'Completed','DONE',NULL,'none','[]',0,134217728,1700000022000000000,1700000000000000000,1700000022000000000,1700000022500000000,0,'[]','[]',NULL,'0ed66e8e1f4d297b2a32e454ee440b45','bb3188ec7d5f58d0',NULL,NULL,NULL,NULL,NULL,'[]','["Its end was not seen: requests to stop it and OOM kills just before it may be missing.", "Events were missed while it ran: requests to stop it and OOM kills may be missing."]');
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
INSERT INTO "outbox" VALUES(1,'000000000008-tlfdrrhn','logs',1795881915970211081,0,'HTTP 400: scripted failure');
INSERT INTO "outbox" VALUES(2,'000000000008-tlfdrrhn','traces',1795881915970211081,0,'HTTP 400: scripted failure');
INSERT INTO "outbox" VALUES(3,'000000000009-aibricuz','logs',1795881923000004559,0,NULL);
INSERT INTO "outbox" VALUES(4,'000000000009-aibricuz','traces',1795881923000004559,0,NULL);
INSERT INTO "outbox" VALUES(5,'000000000016-a2twjejr','logs',1795881923898154353,0,NULL);
INSERT INTO "outbox" VALUES(6,'000000000016-a2twjejr','traces',1795881923898154353,0,NULL);
INSERT INTO "outbox" VALUES(7,'000000000015-6sahw5zh','logs',1795881923898154353,0,NULL);
INSERT INTO "outbox" VALUES(8,'000000000015-6sahw5zh','traces',1795881923898154353,0,NULL);
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
INSERT INTO "series" VALUES('exit_exporter_workload_order_timestamp_seconds','["label,swarm,compose,image"]',0.0);
INSERT INTO "series" VALUES('exit_exporter_jobs_over_workload_limit_total','[]',1.0);
INSERT INTO "series" VALUES('exit_exporter_engine_reconnects_total','["unix:///run/docker.sock"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_event_gaps_total','["unix:///run/docker.sock"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_store_errors_total','[]',1.0);
INSERT INTO "series" VALUES('exit_exporter_job_records_dropped_total','[]',0.0);
INSERT INTO "series" VALUES('exit_exporter_engine_events_total','["unix:///run/docker.sock", "start"]',13.0);
INSERT INTO "series" VALUES('exit_exporter_store_commit_duration_seconds','["sum"]',1.03779970000687171705e-01);
INSERT INTO "series" VALUES('exit_exporter_engine_events_total','["unix:///run/docker.sock", "die"]',10.0);
INSERT INTO "series" VALUES('exit_exporter_engine_events_total','["unix:///run/docker.sock", "kill"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_store_commit_duration_seconds','["3"]',2.0);
INSERT INTO "series" VALUES('exit_exporter_engine_events_total','["unix:///run/docker.sock", "oom"]',2.0);
INSERT INTO "series" VALUES('exit_exporter_exits_recovered_total','["build-7"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_exits_unobserved_total','["build-7"]',1.0);
INSERT INTO "series" VALUES('container_restarts_total','["build-7", "job", "job"]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "done", "0", "Completed"]',2.0);
INSERT INTO "series" VALUES('container_oom_kills_total','["build-7", "job", "job"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "done", "1"]',2.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "done", "sum"]',1.0);
INSERT INTO "series" VALUES('container_restarts_total','["build-7", "nightly", "resize"]',0.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "nightly", "resize", "failed", "137", "OOMKilled"]',1.0);
INSERT INTO "series" VALUES('container_oom_kills_total','["build-7", "nightly", "resize"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "nightly", "failed", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "nightly", "failed", "sum"]',0.5);
INSERT INTO "series" VALUES('container_memory_limit_bytes','["build-7", "job"]',0.0);
INSERT INTO "series" VALUES('container_memory_limit_bytes','["build-7", "nightly"]',67108864.0);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "job", "done"]',1700000003.5);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "nightly", "failed"]',1700000002.5);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "terminated", "143", "Terminated"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "terminated", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "terminated", "sum"]',0.5);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "job", "terminated"]',1700000004.5);
INSERT INTO "series" VALUES('exit_exporter_store_commit_duration_seconds','["6"]',1.0);
INSERT INTO "series" VALUES('container_restarts_total','["build-7", "trainer", "trainer"]',0.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "trainer", "trainer", "failed", "42", "CheckpointCorrupt"]',1.0);
INSERT INTO "series" VALUES('container_oom_kills_total','["build-7", "trainer", "trainer"]',0.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "trainer", "failed", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "trainer", "failed", "sum"]',0.5);
INSERT INTO "series" VALUES('container_memory_limit_bytes','["build-7", "trainer"]',134217728.0);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "trainer", "failed"]',1700000005.5);
INSERT INTO "series" VALUES('exit_exporter_store_commit_duration_seconds','["2"]',5.0);
INSERT INTO "series" VALUES('container_restarts_total','["build-7", "Other", "Other"]',0.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "Other", "Other", "failed", "42", "DataError"]',1.0);
INSERT INTO "series" VALUES('container_oom_kills_total','["build-7", "Other", "Other"]',0.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "Other", "failed", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "Other", "failed", "sum"]',0.5);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "failed", "1", "Error"]',2.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "failed", "1"]',4.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "job", "failed", "sum"]',1.8);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "Other", "failed"]',1700000006.5);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "job", "failed"]',1700000009.5);
INSERT INTO "series" VALUES('exit_exporter_otlp_jobs_dropped_total','["traces"]',2.0);
INSERT INTO "series" VALUES('exit_exporter_otlp_jobs_dropped_total','["logs"]',2.0);
INSERT INTO "series" VALUES('exit_exporter_otlp_jobs_exported_total','["logs"]',6.0);
INSERT INTO "series" VALUES('exit_exporter_otlp_jobs_rejected_total','["logs"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_otlp_jobs_exported_total','["traces"]',6.0);
INSERT INTO "series" VALUES('exit_exporter_otlp_jobs_rejected_total','["traces"]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "failed", "3", "Misuse"]',1.0);
INSERT INTO "series" VALUES('exit_exporter_traceparents_ignored_total','[]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "job", "job", "failed", "2", "Misuse"]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "trainer", "trainer", "done", "0", "Completed"]',1.0);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "trainer", "trainer", "failed", "137", "OOMKilled"]',0.0);
INSERT INTO "series" VALUES('exit_exporter_store_commit_duration_seconds','["1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "trainer", "done", "1"]',1.0);
INSERT INTO "series" VALUES('container_run_duration_seconds','["build-7", "trainer", "done", "sum"]',0.5);
INSERT INTO "series" VALUES('container_exits_total','["build-7", "trainer", "trainer", "unknown", "unknown", "Unknown"]',1.0);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "trainer", "done"]',1700000022.5);
INSERT INTO "series" VALUES('container_last_exit_timestamp_seconds','["build-7", "trainer", "unknown"]',1.79588192384362602235e+09);
CREATE INDEX jobs_of_container ON jobs (container_id, attempt);
CREATE INDEX jobs_by_status ON jobs (status, began_ns);
CREATE INDEX jobs_newest ON jobs (began_ns, id);
CREATE INDEX outbox_waiting ON outbox (signal, aside, number);
COMMIT;
