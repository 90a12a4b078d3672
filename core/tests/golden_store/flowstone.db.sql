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
INSERT INTO "documents" VALUES('block:local-directory','raw','{"type": "local-directory", "schema": 1, "fields": {"basepath": "/nowhere"}}',1,1.79589850324280476566e+09,1.79589850324280476566e+09);
INSERT INTO "documents" VALUES('block:old-login','login','{"type": "old-login", "schema": 1, "fields": {"user": "ada", "password": {"$secret": "fs1.114218d2.GUm6hjLLsC_Z3etRSry_3syr-hKajYS_h6Yh0afY28L4bOgqGV0vrCPVUKae", "as": "str"}, "pin": {"$secret": "fs1.114218d2.z_gBpqTjadyt4aaGv4jvwpDsEXftdxlG2yRDQp91WPGoQdsnrqM=", "as": "bytes"}, "by_reference": {"$ref": "env:GOLDEN_PASSWORD"}, "looks_like_a_reference": {"$secret": "fs1.114218d2.8SIwK3EaN8MDpBZBIbJZ7Pif_Ib357toiTLvAorPKrU55XeYBjIigQc=", "as": "str"}, "table": {"$secrets": {"clear": {"$secret": "fs1.114218d2.XN5wULB_bdHj2bZ0NaiYkYU0p2XZtPDZAa84NXYIle-MFMdgK7yXbyqY5-XK", "as": "json"}, "referred": {"$ref": "env:GOLDEN_PASSWORD"}, "deep": {"n": {"$secret": "fs1.114218d2.iQ1Vb0HuU7xPeCFkNNm7pWr5-9GIpuwOsjeCbl0=", "as": "json"}}}}, "many": [{"$secret": "fs1.114218d2.cygwI3KaRDhPoY3St_crXoG4n0a-YNQyqoMN7Jm0--NNDL5uZHkLg7n7ROM=", "as": "str"}, {"$ref": "env:GOLDEN_PASSWORD"}], "shared": {"$block": "secret/shared"}}}',1,1.79589850324258160597e+09,1.79589850324258160597e+09);
INSERT INTO "documents" VALUES('block:secret','shared','{"type": "secret", "schema": 1, "fields": {"value": {"$secret": "fs1.114218d2.rHmhHNt6Cd2udq3orlI4o6KglDnbsvD-2aat3zw8VnKdN8DEOxDmjJZu5DZ2rq8=", "as": "json"}}}',1,1.79589850323410296444e+09,1.79589850323410296444e+09);
INSERT INTO "documents" VALUES('limit','gpu','{"slots": 2, "active": true, "slot_decay_per_second": 0.0}',1,1.79589850324303627014e+09,1.79589850324303627014e+09);
INSERT INTO "documents" VALUES('pause:01a223e4-70b2-7b0f-a53d-6c96a0c00021','0','{"asked": 1795898503.3518436, "until": null, "schema": {"description": "What the suspended run waits for.", "properties": {"by": {"title": "By", "type": "string"}, "rows": {"default": 1, "title": "Rows", "type": "integer"}}, "required": ["by"], "title": "Approval", "type": "object"}, "description": null, "answers": {}, "problems": {}}',2,1.79589850335191297532e+09,1.79589850335201191905e+09);
INSERT INTO "documents" VALUES('variable','rows','{"value": {"limit": 5}, "tags": ["golden"]}',1,1.79589850324293613431e+09,1.79589850324293613431e+09);
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
INSERT INTO "events" VALUES(1,'01a223e4-704b-7941-a53d-6c96a0c00003','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','FlowRunStarted',1.79589850324355554582e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.2435555},"started":1795898503.2435555,"ended":null,"lease":{"token":"01a223e4-704b-7350-a53d-6c96a0c00001","holder":"host/1/host.01a223e4-704b-74d6-a53d-6c96a0c00002","until":1795898533.2432022}}');
INSERT INTO "events" VALUES(2,'01a223e4-7051-7ddf-a53d-6c96a0c00004','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','LogWritten',1.79589850324946069719e+09,2,NULL,NULL,'[20,"flowstone.runs","began: a run of flow ''keeps''"]');
INSERT INTO "events" VALUES(3,'01a223e4-707b-7b30-a53d-6c96a0c00006','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-7052-7200-a53d-6c96a0c00005','TaskRunStarted',1.79589850329167938234e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.2916794,"message":"miss: no result is kept (key auto)"},"started":1795898503.2916794,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(4,'01a223e4-707c-7945-a53d-6c96a0c00007','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-7052-7200-a53d-6c96a0c00005','TaskRunCompleted',1.79589850329256987574e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(5,'01a223e4-707d-7021-a53d-6c96a0c00009','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-707c-7bf4-a53d-6c96a0c00008','TaskRunStarted',1.79589850329300069814e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.2930007,"message":"miss: no result is kept (key json)"},"started":1795898503.2930007,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(6,'01a223e4-7081-7526-a53d-6c96a0c0000a','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-707c-7bf4-a53d-6c96a0c00008','TaskRunCompleted',1.7958985032973098755e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(7,'01a223e4-7081-7caa-a53d-6c96a0c0000c','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-7081-77f9-a53d-6c96a0c0000b','TaskRunStarted',1.79589850329778194428e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.297782,"message":"miss: no result is kept (key pickle)"},"started":1795898503.297782,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(8,'01a223e4-7082-7019-a53d-6c96a0c0000d','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-7081-77f9-a53d-6c96a0c0000b','TaskRunCompleted',1.79589850329800176619e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(9,'01a223e4-7082-760f-a53d-6c96a0c0000f','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-7082-7272-a53d-6c96a0c0000e','TaskRunStarted',1.79589850329837155337e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.2983716,"message":"miss: no result is kept (key compressed-pickle)"},"started":1795898503.2983716,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(10,'01a223e4-70a5-737a-a53d-6c96a0c00010','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-7082-7272-a53d-6c96a0c0000e','TaskRunCompleted',1.79589850333319854731e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(11,'01a223e4-70a5-7f5c-a53d-6c96a0c00012','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-70a5-77f0-a53d-6c96a0c00011','TaskRunStarted',1.7958985033339464664e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.3339465,"message":"miss: no result is kept (key compressed-json-gzip)"},"started":1795898503.3339465,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(12,'01a223e4-70a6-7b7a-a53d-6c96a0c00013','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-70a5-77f0-a53d-6c96a0c00011','TaskRunCompleted',1.79589850333471131322e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(13,'01a223e4-70a6-7da5-a53d-6c96a0c00014','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','LogWritten',1.79589850333479070666e+09,2,NULL,NULL,'[20,"flowstone.runs","all are kept"]');
INSERT INTO "events" VALUES(14,'01a223e4-70a9-7454-a53d-6c96a0c00016','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','ArtifactSaved',1795898503.33727,3,NULL,NULL,'{"id":"01a223e4-70a9-73cc-a53d-6c96a0c00015","kind":"markdown","key":"report","description":"What was kept.","data":"# Kept"}');
INSERT INTO "events" VALUES(15,'01a223e4-70a9-756c-a53d-6c96a0c00018','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','ArtifactSaved',1.79589850333733892437e+09,3,NULL,NULL,'{"id":"01a223e4-70a9-7491-a53d-6c96a0c00017","kind":"table","key":"serializers","description":null,"data":[{"serializer":"auto"},{"serializer":"json"},{"serializer":"pickle"},{"serializer":"compressed/pickle"},{"serializer":"compressed/json/gzip"}]}');
INSERT INTO "events" VALUES(16,'01a223e4-70a9-7757-a53d-6c96a0c00019','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','LogWritten',1.79589850333741569521e+09,2,NULL,NULL,'[20,"flowstone.runs","ended Completed"]');
INSERT INTO "events" VALUES(17,'01a223e4-70a9-780d-a53d-6c96a0c0001a','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','FlowRunCompleted',1.79589850333749794959e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(18,'01a223e4-70aa-7e03-a53d-6c96a0c0001d','01a223e4-70aa-7ba4-a53d-6c96a0c0001b','01a223e4-70aa-7ba4-a53d-6c96a0c0001b','FlowRunStarted',1.79589850333886456488e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.3388646},"started":1795898503.3388646,"ended":null,"lease":{"token":"01a223e4-70aa-7c0e-a53d-6c96a0c0001c","holder":"host/1/host.01a223e4-704b-74d6-a53d-6c96a0c00002","until":1795898533.3387496}}');
INSERT INTO "events" VALUES(19,'01a223e4-70ab-71d5-a53d-6c96a0c0001e','01a223e4-70aa-7ba4-a53d-6c96a0c0001b','01a223e4-70aa-7ba4-a53d-6c96a0c0001b','LogWritten',1.79589850333907985685e+09,2,NULL,NULL,'[20,"flowstone.runs","began: a run of flow ''fails''"]');
INSERT INTO "events" VALUES(20,'01a223e4-70b2-714a-a53d-6c96a0c0001f','01a223e4-70aa-7ba4-a53d-6c96a0c0001b','01a223e4-70aa-7ba4-a53d-6c96a0c0001b','LogWritten',1.79589850334533524508e+09,2,NULL,NULL,'[40,"flowstone.runs","ended Failed: ValueError: 3 is too many\nTraceback (most recent call last):\n  File \"/srv/flowstone/flowstone/engine/life.py\", line 298, in _attempt\n    end = yield from _called(plan, args, kwargs)\n          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/flowstone/flowstone/engine/life.py\", line 323, in _called\n    value = yield step(plan.fn, args, kwargs, plan.spec.timeout_seconds)\n            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/flowstone/flowstone/engine/drive.py\", line 153, in drive\n    answer = step.fn(*step.args, **step.kwargs)\n             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/tests/golden_store/flows.py\", line 76, in fails\n    raise ValueError(f\"{number} is too many\")\nValueError: 3 is too many"]');
INSERT INTO "events" VALUES(21,'01a223e4-70b2-7241-a53d-6c96a0c00020','01a223e4-70aa-7ba4-a53d-6c96a0c0001b','01a223e4-70aa-7ba4-a53d-6c96a0c0001b','FlowRunFailed',1.79589850334613370893e+09,1,2,1,'{"state":{"type":"FAILED","name":"Failed","at":1795898503.3461337,"message":"ValueError: 3 is too many"}}');
INSERT INTO "events" VALUES(22,'01a223e4-70b2-7cdc-a53d-6c96a0c00023','01a223e4-70b2-7b0f-a53d-6c96a0c00021','01a223e4-70b2-7b0f-a53d-6c96a0c00021','FlowRunStarted',1.79589850334679579737e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.3467958},"started":1795898503.3467958,"ended":null,"lease":{"token":"01a223e4-70b2-7b5b-a53d-6c96a0c00022","holder":"host/1/host.01a223e4-704b-74d6-a53d-6c96a0c00002","until":1795898533.3467066}}');
INSERT INTO "events" VALUES(23,'01a223e4-70b3-70ec-a53d-6c96a0c00024','01a223e4-70b2-7b0f-a53d-6c96a0c00021','01a223e4-70b2-7b0f-a53d-6c96a0c00021','LogWritten',1.79589850334701395034e+09,2,NULL,NULL,'[20,"flowstone.runs","began: a run of flow ''waits''"]');
INSERT INTO "events" VALUES(24,'01a223e4-70b5-79a1-a53d-6c96a0c00026','01a223e4-70b2-7b0f-a53d-6c96a0c00021','01a223e4-70b5-7353-a53d-6c96a0c00025','TaskRunStarted',1.79589850334959435463e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.3495944,"message":"miss: no result is kept (key doubled)"},"started":1795898503.3495944,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(25,'01a223e4-70b5-7d90-a53d-6c96a0c00027','01a223e4-70b2-7b0f-a53d-6c96a0c00021','01a223e4-70b5-7353-a53d-6c96a0c00025','TaskRunCompleted',1.79589850334984207154e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(26,'01a223e4-70b8-72c4-a53d-6c96a0c00028','01a223e4-70b2-7b0f-a53d-6c96a0c00021','01a223e4-70b2-7b0f-a53d-6c96a0c00021','LogWritten',1795898503.35213,2,NULL,NULL,'[20,"flowstone.runs","suspended: waits for input (by, rows); resume it with `flowstone run resume 6c96a0c00021`"]');
INSERT INTO "events" VALUES(27,'01a223e4-70c5-7465-a53d-6c96a0c00029','01a223e4-70b2-7b0f-a53d-6c96a0c00021','01a223e4-70b2-7b0f-a53d-6c96a0c00021','FlowRunPaused',1.7958985033652579785e+09,1,2,1,'{"state":{"type":"PAUSED","name":"Suspended","at":1795898503.365258,"message":"waits for input (by, rows); resume it with `flowstone run resume 6c96a0c00021`"},"lease":null}');
INSERT INTO "events" VALUES(28,'01a223e4-70c6-7a63-a53d-6c96a0c0002d','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c6-78c4-a53d-6c96a0c0002b','FlowRunStarted',1.79589850336664295198e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.366643},"started":1795898503.366643,"ended":null,"lease":{"token":"01a223e4-70c6-78fe-a53d-6c96a0c0002c","holder":"host/1/host.01a223e4-704b-74d6-a53d-6c96a0c00002","until":1795898533.3665597}}');
INSERT INTO "events" VALUES(29,'01a223e4-70c6-7dc9-a53d-6c96a0c0002e','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c6-78c4-a53d-6c96a0c0002b','LogWritten',1.79589850336681199072e+09,2,NULL,NULL,'[20,"flowstone.runs","began: a run of flow ''packs''"]');
INSERT INTO "events" VALUES(30,'01a223e4-70c7-72bc-a53d-6c96a0c00030','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c6-7ec1-a53d-6c96a0c0002f','TaskRunStarted',1.79589850336716461186e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.3671646,"message":"miss: no result is kept (key parcel)"},"started":1795898503.3671646,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(31,'01a223e4-70c8-7433-a53d-6c96a0c00031','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c6-7ec1-a53d-6c96a0c0002f','TaskRunCompleted',1.79589850336825609207e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(32,'01a223e4-70c8-78f8-a53d-6c96a0c00033','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c8-75be-a53d-6c96a0c00032','TaskRunStarted',1.79589850336855340003e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898503.3685534,"message":"miss: no result is kept (key arrow)"},"started":1795898503.3685534,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(33,'01a223e4-7415-7c4a-a53d-6c96a0c00034','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c8-75be-a53d-6c96a0c00032','TaskRunCompleted',1.7958985042137467861e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(34,'01a223e4-7416-7a1c-a53d-6c96a0c00036','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-7416-7157-a53d-6c96a0c00035','TaskRunStarted',1.79589850421461153027e+09,0,1,1,'{"state":{"type":"RUNNING","name":"Running","at":1795898504.2146115,"message":"miss: no result is kept (key parquet)"},"started":1795898504.2146115,"ended":null,"lease":null}');
INSERT INTO "events" VALUES(35,'01a223e4-7417-7b29-a53d-6c96a0c00037','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-7416-7157-a53d-6c96a0c00035','TaskRunCompleted',1.79589850421568870538e+09,1,2,1,NULL);
INSERT INTO "events" VALUES(36,'01a223e4-7417-7ebb-a53d-6c96a0c00038','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c6-78c4-a53d-6c96a0c0002b','LogWritten',1.7958985042158339023e+09,2,NULL,NULL,'[20,"flowstone.runs","ended Completed"]');
INSERT INTO "events" VALUES(37,'01a223e4-741b-7691-a53d-6c96a0c00039','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c6-78c4-a53d-6c96a0c0002b','FlowRunCompleted',1.79589850421939849853e+09,1,2,1,NULL);
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
INSERT INTO "runs" VALUES('01a223e4-704b-72d5-a53d-6c96a0c00000','flow','silent-alder','keeps','01a223e4-704b-72d5-a53d-6c96a0c00000',NULL,'COMPLETED','Completed',NULL,1.79589850333749794959e+09,2,1,1.79589850324320220945e+09,1.79589850324355554582e+09,1.79589850333749794959e+09,NULL,'a4bd765e','{}',NULL,'01a223e4-704b-7350-a53d-6c96a0c00001','host/1/host.01a223e4-704b-74d6-a53d-6c96a0c00002',0.0,'{"entrypoint":"core.tests.golden_store.flows:keeps","obstacle":null,"lost":[]}');
INSERT INTO "runs" VALUES('01a223e4-7052-7200-a53d-6c96a0c00005','task','keep-auto-0','keep-auto','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','COMPLETED','Completed',NULL,1.79589850329256987574e+09,2,1,1.79589850325013494487e+09,1.79589850329167938234e+09,1.79589850329256987574e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223e4-707c-7bf4-a53d-6c96a0c00008','task','keep-json-0','keep-json','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','COMPLETED','Completed',NULL,1.7958985032973098755e+09,2,1,1.79589850329275774959e+09,1.79589850329300069814e+09,1.7958985032973098755e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223e4-7081-77f9-a53d-6c96a0c0000b','task','keep-pickle-0','keep-pickle','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','COMPLETED','Completed',NULL,1.79589850329800176619e+09,2,1,1.7958985032975094318e+09,1.79589850329778194428e+09,1.79589850329800176619e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223e4-7082-7272-a53d-6c96a0c0000e','task','keep-compressed-pickle-0','keep-compressed-pickle','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','COMPLETED','Completed',NULL,1.79589850333319854731e+09,2,1,1.79589850329816269874e+09,1.79589850329837155337e+09,1.79589850333319854731e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223e4-70a5-77f0-a53d-6c96a0c00011','task','keep-compressed-json-gzip-0','keep-compressed-json-gzip','01a223e4-704b-72d5-a53d-6c96a0c00000','01a223e4-704b-72d5-a53d-6c96a0c00000','COMPLETED','Completed',NULL,1.79589850333471131322e+09,2,1,1.79589850333351039885e+09,1.7958985033339464664e+09,1.79589850333471131322e+09,'["golden"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223e4-70aa-7ba4-a53d-6c96a0c0001b','flow','silent-alder','fails','01a223e4-70aa-7ba4-a53d-6c96a0c0001b',NULL,'FAILED','Failed','ValueError: 3 is too many',1.79589850334613370893e+09,2,1,1.79589850333874964712e+09,1.79589850333886456488e+09,1.79589850334613370893e+09,NULL,'a4bd765e','{"number":3}',NULL,'01a223e4-70aa-7c0e-a53d-6c96a0c0001c','host/1/host.01a223e4-704b-74d6-a53d-6c96a0c00002',0.0,'{"entrypoint":"core.tests.golden_store.flows:fails","obstacle":null,"lost":[]}');
INSERT INTO "runs" VALUES('01a223e4-70b2-7b0f-a53d-6c96a0c00021','flow','happy-pebble','waits','01a223e4-70b2-7b0f-a53d-6c96a0c00021',NULL,'PAUSED','Suspended','waits for input (by, rows); resume it with `flowstone run resume 6c96a0c00021`',1.7958985033652579785e+09,2,1,1.79589850334670662881e+09,1.79589850334679579737e+09,NULL,NULL,'a4bd765e','{"number":21}',NULL,NULL,NULL,NULL,'{"entrypoint":"core.tests.golden_store.flows:waits","obstacle":null,"lost":[]}');
INSERT INTO "runs" VALUES('01a223e4-70b5-7353-a53d-6c96a0c00025','task','double-0','double','01a223e4-70b2-7b0f-a53d-6c96a0c00021','01a223e4-70b2-7b0f-a53d-6c96a0c00021','COMPLETED','Completed',NULL,1.79589850334984207154e+09,2,1,1.79589850334921979904e+09,1.79589850334959435463e+09,1.79589850334984207154e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223e4-70c6-78c4-a53d-6c96a0c0002b','flow','red-gull','packs','01a223e4-70c6-78c4-a53d-6c96a0c0002b',NULL,'COMPLETED','Completed',NULL,1.79589850421939849853e+09,2,1,1.79589850336655974393e+09,1.79589850336664295198e+09,1.79589850421939849853e+09,NULL,'87761b88','{}',NULL,'01a223e4-70c6-78fe-a53d-6c96a0c0002c','host/1/host.01a223e4-704b-74d6-a53d-6c96a0c00002',0.0,'{"entrypoint":"/srv/write.py:packs","obstacle":null,"lost":[]}');
INSERT INTO "runs" VALUES('01a223e4-70c6-7ec1-a53d-6c96a0c0002f','task','pack-0','pack','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c6-78c4-a53d-6c96a0c0002b','COMPLETED','Completed',NULL,1.79589850336825609207e+09,2,1,1.79589850336692643164e+09,1.79589850336716461186e+09,1.79589850336825609207e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223e4-70c8-75be-a53d-6c96a0c00032','task','keep-arrow-0','keep-arrow','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c6-78c4-a53d-6c96a0c0002b','COMPLETED','Completed',NULL,1.7958985042137467861e+09,2,1,1.79589850336836791039e+09,1.79589850336855340003e+09,1.7958985042137467861e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01a223e4-7416-7157-a53d-6c96a0c00035','task','keep-parquet-0','keep-parquet','01a223e4-70c6-78c4-a53d-6c96a0c0002b','01a223e4-70c6-78c4-a53d-6c96a0c0002b','COMPLETED','Completed',NULL,1.79589850421568870538e+09,2,1,1.79589850421410655977e+09,1.79589850421461153027e+09,1.79589850421568870538e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
