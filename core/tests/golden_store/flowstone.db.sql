PRAGMA application_id = 1181511543;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE documents (
      kind TEXT NOT NULL,
      name TEXT NOT NULL,
      body TEXT NOT NULL,
      version INTEGER NOT NULL,
      created REAL NOT NULL,
      updated REAL NOT NULL,
      PRIMARY KEY (kind, name)
    ) WITHOUT ROWID
    ;
INSERT INTO "documents" VALUES('block:local-directory','raw','{"type": "local-directory", "schema": 1, "fields": {"basepath": "/nowhere"}}',1,1.79589941814894413947e+09,1.79589941814894413947e+09);
INSERT INTO "documents" VALUES('block:old-login','login','{"type": "old-login", "schema": 1, "fields": {"user": "ada", "password": {"$secret": "fs1.114218d2.7qRPDRvCIK5PiPNMuid3YU3QwDK3eMyBJJUojpFA8awpDVk8d-YSu7Le8JR_", "as": "str"}, "pin": {"$secret": "fs1.114218d2.tWQ6aVRk1RRT32r2bNjbv-2uTzk7gx8cssfYiS0tDiHXANCCyXM=", "as": "bytes"}, "by_reference": {"$ref": "env:GOLDEN_PASSWORD"}, "looks_like_a_reference": {"$secret": "fs1.114218d2.WWnaFkUlhHyZ9aXkjB4q3j--nEo-8QOvAhVAb2aoo8TTVQZzIPZN8co=", "as": "str"}, "table": {"$secrets": {"clear": {"$secret": "fs1.114218d2.As9AmbLc-cdjUtraQy9pIqZjRHKWeTMaQ5WI1YBpx1iwI-H0CnA0VmABWo9_", "as": "json"}, "referred": {"$ref": "env:GOLDEN_PASSWORD"}, "deep": {"n": {"$secret": "fs1.114218d2.u2-Dj1FJcDW2n0mv10fhXI83O6miSo2--FcYIJQ=", "as": "json"}}}}, "many": [{"$secret": "fs1.114218d2.qnjx-F0CsKYjYNezumc3ws6FfHDrH2X98-xN3VQ45_fLQxhEV2Ab02zLceI=", "as": "str"}, {"$ref": "env:GOLDEN_PASSWORD"}], "shared": {"$block": "secret/shared"}}}',1,1.79589941814875149721e+09,1.79589941814875149721e+09);
INSERT INTO "documents" VALUES('block:secret','shared','{"type": "secret", "schema": 1, "fields": {"value": {"$secret": "fs1.114218d2.p_dCrznSRS7YZnArlaYoRVPSdwDETH4yUtz9XM_rA7sSCx0VAj-l8t5tZQ1xEGY=", "as": "json"}}}',1,1.79589941814376473426e+09,1.79589941814376473426e+09);
INSERT INTO "documents" VALUES('limit','gpu','{"slots": 2, "active": true, "slot_decay_per_second": 0.0}',1,1.79589941814908194547e+09,1.79589941814908194547e+09);
INSERT INTO "documents" VALUES('pause:01a223f2-6658-7ab5-b4f4-f533d5f00021','0','{"asked": 1795899418.203603, "until": null, "schema": {"description": "What the suspended run waits for.", "properties": {"by": {"title": "By", "type": "string"}, "rows": {"default": 1, "title": "Rows", "type": "integer"}}, "required": ["by"], "title": "Approval", "type": "object"}, "description": null, "answers": {}, "problems": {}}',2,1.79589941820367455485e+09,1.79589941821735215188e+09);
INSERT INTO "documents" VALUES('variable','rows','{"value": {"limit": 5}, "tags": ["golden"]}',1,1.79589941814902687069e+09,1.79589941814902687069e+09);
CREATE TABLE events (
      seq INTEGER PRIMARY KEY,
      id TEXT NOT NULL,
      root_id TEXT NOT NULL,
      run_id TEXT NOT NULL,
      kind TEXT NOT NULL,
      at REAL NOT NULL,
      form INTEGER NOT NULL,
      version INTEGER,
      attempt INTEGER,
      payload TEXT
    );
INSERT INTO "events" VALUES(1,'01a223f2-6625-78b9-b4f4-f533d5f00003','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','FlowRunStarted',1.79589941814952492715e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.149525},"started":1795899418.149525,"ended":null,"lease":{"token":"01a223f2-6625-742d-b4f4-f533d5f00001","holder":"host/1/host.01a223f2-6625-756a-b4f4-f533d5f00002","until":1795899448.1492565}}');
INSERT INTO "events" VALUES(2,'01a223f2-6626-778c-b4f4-f533d5f00004','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','LogWritten',1.79589941815012860302e+09,2,NULL,NULL,'[20,"flowstone.runs","began: a run of flow ''keeps''"]');
INSERT INTO "events" VALUES(3,'01a223f2-663e-79a6-b4f4-f533d5f00006','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6626-7a54-b4f4-f533d5f00005','TaskRunStarted',1.79589941817458343502e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.1745834,"message":"miss: no result is kept (key auto)"},"started":1795899418.1745834,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(4,'01a223f2-663f-7e8b-b4f4-f533d5f00007','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6626-7a54-b4f4-f533d5f00005','TaskRunCompleted',1.79589941817589831348e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(5,'01a223f2-6640-7504-b4f4-f533d5f00009','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6640-711d-b4f4-f533d5f00008','TaskRunStarted',1.79589941817630624771e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.1763062,"message":"miss: no result is kept (key json)"},"started":1795899418.1763062,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(6,'01a223f2-6640-7797-b4f4-f533d5f0000a','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6640-711d-b4f4-f533d5f00008','TaskRunCompleted',1.79589941817646980282e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(7,'01a223f2-6640-7b37-b4f4-f533d5f0000c','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6640-7875-b4f4-f533d5f0000b','TaskRunStarted',1.7958994181766951084e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.176695,"message":"miss: no result is kept (key pickle)"},"started":1795899418.176695,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(8,'01a223f2-6640-7dda-b4f4-f533d5f0000d','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6640-7875-b4f4-f533d5f0000b','TaskRunCompleted',1.79589941817686152454e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(9,'01a223f2-6641-7169-b4f4-f533d5f0000f','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6640-7ea6-b4f4-f533d5f0000e','TaskRunStarted',1.79589941817708206176e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.177082,"message":"miss: no result is kept (key compressed-pickle)"},"started":1795899418.177082,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(10,'01a223f2-6650-7f4f-b4f4-f533d5f00010','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6640-7ea6-b4f4-f533d5f0000e','TaskRunCompleted',1.79589941819293856624e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(11,'01a223f2-6651-7983-b4f4-f533d5f00012','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6651-72b7-b4f4-f533d5f00011','TaskRunStarted',1.79589941819358086582e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.1935809,"message":"miss: no result is kept (key compressed-json-gzip)"},"started":1795899418.1935809,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(12,'01a223f2-6655-77da-b4f4-f533d5f00013','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6651-72b7-b4f4-f533d5f00011','TaskRunCompleted',1.79589941819748234752e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(13,'01a223f2-6655-7a84-b4f4-f533d5f00014','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','LogWritten',1.79589941819758605956e+09,2,NULL,NULL,'[20,"flowstone.runs","all are kept"]');
INSERT INTO "events" VALUES(14,'01a223f2-6655-7c4a-b4f4-f533d5f00016','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','ArtifactSaved',1.79589941819776797299e+09,3,NULL,NULL,'{"id":"01a223f2-6655-7c00-b4f4-f533d5f00015","kind":"markdown","key":"report","description":"What was kept.","data":"# Kept"}');
INSERT INTO "events" VALUES(15,'01a223f2-6655-7d3c-b4f4-f533d5f00018','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','ArtifactSaved',1.79589941819782710069e+09,3,NULL,NULL,'{"id":"01a223f2-6655-7c79-b4f4-f533d5f00017","kind":"table","key":"serializers","description":null,"data":[{"serializer":"auto"},{"serializer":"json"},{"serializer":"pickle"},{"serializer":"compressed/pickle"},{"serializer":"compressed/json/gzip"}]}');
INSERT INTO "events" VALUES(16,'01a223f2-6655-7e76-b4f4-f533d5f00019','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','LogWritten',1.79589941819788193703e+09,2,NULL,NULL,'[20,"flowstone.runs","ended Completed"]');
INSERT INTO "events" VALUES(17,'01a223f2-6655-7ef4-b4f4-f533d5f0001a','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','FlowRunCompleted',1.79589941819793081278e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(18,'01a223f2-6657-7460-b4f4-f533d5f0001d','01a223f2-6657-72a9-b4f4-f533d5f0001b','01a223f2-6657-72a9-b4f4-f533d5f0001b','FlowRunStarted',1.79589941819926619532e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.1992662},"started":1795899418.1992662,"ended":null,"lease":{"token":"01a223f2-6657-72e6-b4f4-f533d5f0001c","holder":"host/1/host.01a223f2-6625-756a-b4f4-f533d5f00002","until":1795899448.1991785}}');
INSERT INTO "events" VALUES(19,'01a223f2-6657-7754-b4f4-f533d5f0001e','01a223f2-6657-72a9-b4f4-f533d5f0001b','01a223f2-6657-72a9-b4f4-f533d5f0001b','LogWritten',1.79589941819942927364e+09,2,NULL,NULL,'[20,"flowstone.runs","began: a run of flow ''fails''"]');
INSERT INTO "events" VALUES(20,'01a223f2-6658-72b2-b4f4-f533d5f0001f','01a223f2-6657-72a9-b4f4-f533d5f0001b','01a223f2-6657-72a9-b4f4-f533d5f0001b','LogWritten',1.79589941819955682756e+09,2,NULL,NULL,'[40,"flowstone.runs","ended Failed: ValueError: 3 is too many\nTraceback (most recent call last):\n  File \"/srv/flowstone/flowstone/engine/life.py\", line 298, in _attempt\n    end = yield from _called(plan, args, kwargs)\n          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/flowstone/flowstone/engine/life.py\", line 323, in _called\n    value = yield step(plan.fn, args, kwargs, plan.spec.timeout_seconds)\n            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/flowstone/flowstone/engine/drive.py\", line 153, in drive\n    answer = step.fn(*step.args, **step.kwargs)\n             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/tests/golden_store/flows.py\", line 80, in fails\n    raise ValueError(f\"{number} is too many\")\nValueError: 3 is too many"]');
INSERT INTO "events" VALUES(21,'01a223f2-6658-7361-b4f4-f533d5f00020','01a223f2-6657-72a9-b4f4-f533d5f0001b','01a223f2-6657-72a9-b4f4-f533d5f0001b','FlowRunFailed',1.79589941820020627971e+09,1,2,1,'{"state":{"type":"FAILED","name":"Failed","at":1795899418.2002063,"message":"ValueError: 3 is too many"}}');
INSERT INTO "events" VALUES(22,'01a223f2-6658-7c91-b4f4-f533d5f00023','01a223f2-6658-7ab5-b4f4-f533d5f00021','01a223f2-6658-7ab5-b4f4-f533d5f00021','FlowRunStarted',1.79589941820077872271e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.2007787},"started":1795899418.2007787,"ended":null,"lease":{"token":"01a223f2-6658-7b6e-b4f4-f533d5f00022","holder":"host/1/host.01a223f2-6625-756a-b4f4-f533d5f00002","until":1795899448.2007124}}');
INSERT INTO "events" VALUES(23,'01a223f2-6658-7f68-b4f4-f533d5f00024','01a223f2-6658-7ab5-b4f4-f533d5f00021','01a223f2-6658-7ab5-b4f4-f533d5f00021','LogWritten',1.79589941820093560225e+09,2,NULL,NULL,'[20,"flowstone.runs","began: a run of flow ''waits''"]');
INSERT INTO "events" VALUES(24,'01a223f2-6659-756e-b4f4-f533d5f00026','01a223f2-6658-7ab5-b4f4-f533d5f00021','01a223f2-6659-7081-b4f4-f533d5f00025','TaskRunStarted',1.79589941820133304592e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.201333,"message":"miss: no result is kept (key doubled)"},"started":1795899418.201333,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(25,'01a223f2-6659-7919-b4f4-f533d5f00027','01a223f2-6658-7ab5-b4f4-f533d5f00021','01a223f2-6659-7081-b4f4-f533d5f00025','TaskRunCompleted',1.79589941820156311991e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(26,'01a223f2-6669-796d-b4f4-f533d5f00028','01a223f2-6658-7ab5-b4f4-f533d5f00021','01a223f2-6658-7ab5-b4f4-f533d5f00021','LogWritten',1.79589941821752715114e+09,2,NULL,NULL,'[20,"flowstone.runs","suspended: waits for input (by, rows); resume it with `flowstone run resume f533d5f00021`"]');
INSERT INTO "events" VALUES(27,'01a223f2-6669-7bea-b4f4-f533d5f00029','01a223f2-6658-7ab5-b4f4-f533d5f00021','01a223f2-6658-7ab5-b4f4-f533d5f00021','FlowRunPaused',1.79589941821771264078e+09,1,2,1,'{"state":{"type":"PAUSED","name":"Suspended","at":1795899418.2177126,"message":"waits for input (by, rows); resume it with `flowstone run resume f533d5f00021`"},"lease":null}');
INSERT INTO "events" VALUES(28,'01a223f2-666b-739e-b4f4-f533d5f0002d','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666b-71b3-b4f4-f533d5f0002b','FlowRunStarted',1.79589941821921920779e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.2192192},"started":1795899418.2192192,"ended":null,"lease":{"token":"01a223f2-666b-71ef-b4f4-f533d5f0002c","holder":"host/1/host.01a223f2-6625-756a-b4f4-f533d5f00002","until":1795899448.2191186}}');
INSERT INTO "events" VALUES(29,'01a223f2-666b-7712-b4f4-f533d5f0002e','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666b-71b3-b4f4-f533d5f0002b','LogWritten',1.79589941821940517422e+09,2,NULL,NULL,'[20,"flowstone.runs","began: a run of flow ''packs''"]');
INSERT INTO "events" VALUES(30,'01a223f2-666b-7cdd-b4f4-f533d5f00030','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666b-77dc-b4f4-f533d5f0002f','TaskRunStarted',1.79589941821979761117e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.2197976,"message":"miss: no result is kept (key parcel)"},"started":1795899418.2197976,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(31,'01a223f2-666c-7f52-b4f4-f533d5f00031','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666b-77dc-b4f4-f533d5f0002f','TaskRunCompleted',1.79589941822095179556e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(32,'01a223f2-6671-760d-b4f4-f533d5f00033','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666d-712a-b4f4-f533d5f00032','TaskRunStarted',1795899418.22537,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899418.22537,"message":"miss: no result is kept (key arrow)"},"started":1795899418.22537,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(33,'01a223f2-699e-7fae-b4f4-f533d5f00034','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666d-712a-b4f4-f533d5f00032','TaskRunCompleted',1.79589941903896522525e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(34,'01a223f2-69a1-75a6-b4f4-f533d5f00036','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-69a0-7e21-b4f4-f533d5f00035','TaskRunStarted',1.79589941904133939742e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795899419.0413394,"message":"miss: no result is kept (key parquet)"},"started":1795899419.0413394,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(35,'01a223f2-69a2-734f-b4f4-f533d5f00037','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-69a0-7e21-b4f4-f533d5f00035','TaskRunCompleted',1.79589941904220175739e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(36,'01a223f2-69a2-75d9-b4f4-f533d5f00038','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666b-71b3-b4f4-f533d5f0002b','LogWritten',1.79589941904230117799e+09,2,NULL,NULL,'[20,"flowstone.runs","ended Completed"]');
INSERT INTO "events" VALUES(37,'01a223f2-69a4-7e38-b4f4-f533d5f00039','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666b-71b3-b4f4-f533d5f0002b','FlowRunCompleted',1.79589941904488348961e+09,1,2,1,NULL);
CREATE TABLE runs (
      id TEXT NOT NULL PRIMARY KEY,
      kind TEXT NOT NULL,
      name TEXT NOT NULL,
      unit TEXT NOT NULL,
      root_id TEXT NOT NULL,
      parent_id TEXT,
      state_type TEXT NOT NULL,
      state_name TEXT NOT NULL,
      state_message TEXT,
      state_at REAL NOT NULL,
      version INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      created REAL NOT NULL,
      started REAL,
      ended REAL,
      tags TEXT,
      unit_version TEXT,
      parameters TEXT,
      inputs TEXT,
      lease_token TEXT,
      lease_holder TEXT,
      lease_until REAL
    , recipe TEXT) WITHOUT ROWID
    ;
INSERT INTO "runs" VALUES('01a223f2-6625-73cb-b4f4-f533d5f00000','flow','smooth-trout','keeps','01a223f2-6625-73cb-b4f4-f533d5f00000',NULL,'COMPLETED','Completed',NULL,1.79589941819793081278e+09,2,1,1.79589941814925646785e+09,1.79589941814952492715e+09,1.79589941819793081278e+09,NULL,'8cc34d48','{}',NULL,'01a223f2-6625-742d-b4f4-f533d5f00001','host/1/host.01a223f2-6625-756a-b4f4-f533d5f00002',0.0,'{"entrypoint":"core.tests.golden_store.flows:keeps","obstacle":null,"lost":[]}');
INSERT INTO "runs" VALUES('01a223f2-6626-7a54-b4f4-f533d5f00005','task','keep-auto-0','keep-auto','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','COMPLETED','Completed',NULL,1.79589941817589831348e+09,2,1,1.79589941815065169336e+09,1.79589941817458343502e+09,1.79589941817589831348e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223f2-6640-711d-b4f4-f533d5f00008','task','keep-json-0','keep-json','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','COMPLETED','Completed',NULL,1.79589941817646980282e+09,2,1,1.79589941817608761791e+09,1.79589941817630624771e+09,1.79589941817646980282e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223f2-6640-7875-b4f4-f533d5f0000b','task','keep-pickle-0','keep-pickle','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','COMPLETED','Completed',NULL,1.79589941817686152454e+09,2,1,1.7958994181765377522e+09,1.7958994181766951084e+09,1.79589941817686152454e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223f2-6640-7ea6-b4f4-f533d5f0000e','task','keep-compressed-pickle-0','keep-compressed-pickle','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','COMPLETED','Completed',NULL,1.79589941819293856624e+09,2,1,1.7958994181769227981e+09,1.79589941817708206176e+09,1.79589941819293856624e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223f2-6651-72b7-b4f4-f533d5f00011','task','keep-compressed-json-gzip-0','keep-compressed-json-gzip','01a223f2-6625-73cb-b4f4-f533d5f00000','01a223f2-6625-73cb-b4f4-f533d5f00000','COMPLETED','Completed',NULL,1.79589941819748234752e+09,2,1,1.79589941819318795208e+09,1.79589941819358086582e+09,1.79589941819748234752e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223f2-6657-72a9-b4f4-f533d5f0001b','flow','royal-aspen','fails','01a223f2-6657-72a9-b4f4-f533d5f0001b',NULL,'FAILED','Failed','ValueError: 3 is too many',1.79589941820020627971e+09,2,1,1.79589941819917845722e+09,1.79589941819926619532e+09,1.79589941820020627971e+09,NULL,'8cc34d48','{"number":3}',NULL,'01a223f2-6657-72e6-b4f4-f533d5f0001c','host/1/host.01a223f2-6625-756a-b4f4-f533d5f00002',0.0,'{"entrypoint":"core.tests.golden_store.flows:fails","obstacle":null,"lost":[]}');
INSERT INTO "runs" VALUES('01a223f2-6658-7ab5-b4f4-f533d5f00021','flow','russet-meadow','waits','01a223f2-6658-7ab5-b4f4-f533d5f00021',NULL,'PAUSED','Suspended','waits for input (by, rows); resume it with `flowstone run resume f533d5f00021`',1.79589941821771264078e+09,2,1,1.7958994182007124424e+09,1.79589941820077872271e+09,NULL,NULL,'8cc34d48','{"number":21}',NULL,NULL,NULL,NULL,'{"entrypoint":"core.tests.golden_store.flows:waits","obstacle":null,"lost":[]}');
INSERT INTO "runs" VALUES('01a223f2-6659-7081-b4f4-f533d5f00025','task','double-0','double','01a223f2-6658-7ab5-b4f4-f533d5f00021','01a223f2-6658-7ab5-b4f4-f533d5f00021','COMPLETED','Completed',NULL,1.79589941820156311991e+09,2,1,1.79589941820103716845e+09,1.79589941820133304592e+09,1.79589941820156311991e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223f2-666b-71b3-b4f4-f533d5f0002b','flow','solid-orca','packs','01a223f2-666b-71b3-b4f4-f533d5f0002b',NULL,'COMPLETED','Completed',NULL,1.79589941904488348961e+09,2,1,1.79589941821911859513e+09,1.79589941821921920779e+09,1.79589941904488348961e+09,NULL,'87761b88','{}',NULL,'01a223f2-666b-71ef-b4f4-f533d5f0002c','host/1/host.01a223f2-6625-756a-b4f4-f533d5f00002',0.0,'{"entrypoint":"/srv/write.py:packs","obstacle":null,"lost":[]}');
INSERT INTO "runs" VALUES('01a223f2-666b-77dc-b4f4-f533d5f0002f','task','pack-0','pack','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666b-71b3-b4f4-f533d5f0002b','COMPLETED','Completed',NULL,1.79589941822095179556e+09,2,1,1.79589941821949601171e+09,1.79589941821979761117e+09,1.79589941822095179556e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223f2-666d-712a-b4f4-f533d5f00032','task','keep-arrow-0','keep-arrow','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666b-71b3-b4f4-f533d5f0002b','COMPLETED','Completed',NULL,1.79589941903896522525e+09,2,1,1.79589941822110056874e+09,1795899418.22537,1.79589941903896522525e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223f2-69a0-7e21-b4f4-f533d5f00035','task','keep-parquet-0','keep-parquet','01a223f2-666b-71b3-b4f4-f533d5f0002b','01a223f2-666b-71b3-b4f4-f533d5f0002b','COMPLETED','Completed',NULL,1.79589941904220175739e+09,2,1,1.79589941904093194002e+09,1.79589941904133939742e+09,1.79589941904220175739e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE slots (
      limit_name TEXT NOT NULL,
      token TEXT NOT NULL,
      occupy INTEGER NOT NULL,
      holder TEXT NOT NULL,
      owner TEXT NOT NULL,
      run_id TEXT,
      since REAL NOT NULL,
      until REAL NOT NULL,
      is_rate INTEGER NOT NULL,
      PRIMARY KEY (limit_name, token)
    ) WITHOUT ROWID
    ;
CREATE TABLE strays (run_id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE wishes (
      limit_name TEXT NOT NULL,
      holder TEXT NOT NULL,
      since REAL NOT NULL,
      until REAL NOT NULL,
      PRIMARY KEY (limit_name, holder)
    ) WITHOUT ROWID
    ;
CREATE UNIQUE INDEX events_of_tree ON events (root_id, id);
CREATE INDEX runs_of_tree ON runs (root_id, id);
CREATE INDEX runs_unfinished ON runs (root_id) WHERE ended IS NULL;
CREATE INDEX runs_listed ON runs (id) WHERE kind = 'flow' OR parent_id IS NULL;
CREATE INDEX events_of_artifacts ON events (form) WHERE form = 3;
CREATE INDEX slots_of_token ON slots (token);
COMMIT;
