"""A RunPod cloud on localhost. Never shipped.

What it does, and how we know that RunPod does so: `doc` stands in RunPod's documents; `observed` was measured by somebody and written
down publicly; `inferred` is our conclusion; `open` is told nowhere, and so it is a habit that tests set both ways.

    habit                                                                        known      set by
    PROVISIONING, STARTING, RUNNING; EXITED a while after a stop; 201 at once    doc        provisioning, starting, stopping
    `actions` by status; any other action is 409                                 doc        (its example of PROVISIONING says otherwise)
    a cluster's pods: 409, and listed on request alone                           doc        pod.cluster
    PATCH changes what it names; env is replaced whole                           inferred   (doc for templateId)
    PATCH starts a running container anew                                        open       patch_resets (v1 does)
    args, or entrypoint and cmd; 400 where they contradict                       doc        (the status is inferred)
    a stored string is split as a shell would, and run by none                   doc
    a locked pod: stop and restart are refused                                   doc        (409 is inferred, and 400 of a PATCH)
    mounts: one kind, fixed at create; 400 and 422                               doc
    a template is resolved once; env merged at create, replaced at PATCH         doc
    create: 422, 400 with prose, 402, 403, 413, 429                              doc        balance, forbidden, quotas
    without gpu.count no machine matches                                         observed
    dataCenterIds is binding                                                     observed
    50 variables, 10 HTTP ports                                                  doc        (of the console; 400 is inferred)
    a pod keeps its host through stop and start; others may rent its GPU         doc        rivals, Host.taken
    a start without a free GPU: refused, in words                                observed   no_gpu, no_gpu_status (the status is open)
    a start without a free GPU: a pod with none                                  doc        no_gpu, tells_zero (gpu.count is open)
    a start refused with "Something went wrong"                                  observed   Host.fault
    a new public port at each start; the old one told for a while                observed   stale_port
    new SSH host keys at each start                                              observed
    a container that ends is started again, endlessly                            observed   Host.fault, and any start command
    a pod that never leaves STARTING                                             observed   Host.fault
    GET of a list goes on in pages                                               inferred   page, page_form (the names are open)
    a new pod is listed late                                                     inferred   list_lag
    unknown query parameters are let pass; unknown keys of a body are 422        doc
    problem+json; or {"error": …}; or a page                                     observed   error_shape, Trouble.shape
    5xx and cut connections, before and after the thing was done                 inferred   Trouble
    RateLimit headers, Retry-After                                               doc        quotas
    urllib's User-Agent gets a page with 403                                     observed   user_agents
    a log's ids are timestamps; or the form of the example                       doc        log_ids (schema and example disagree)
    what a pod's own key may do                                                  open       pod_key
    an unknown status, unknown fields                                            inferred   strange_status, strange_fields
    the proxy says 502 until something listens                                   observed   agent_after, ready_after

Answers are held against the document before they are made strange: what breaks it unasked is a fault of ours, and fails the test.
"""
