/* A part of loss_layer.c, included there: a spatial anchor, which the runtime below does not have. */

/* One anchor. The structures are those of the registry, which this header may be too old for. */
enum { FUTURE = 7, CONTEXT, ENTITY, SNAPSHOT, CAN_ANCHOR = 1000762000, TRACKED = 3 };
static XrPosef anchor;
static int polls, has_context, has_anchor, snapshots;

typedef struct {
    XrStructureType type;
    void *next;
    int32_t state;
} PollResult;
typedef struct {
    XrStructureType type;
    void *next;
    XrResult result;
    uint64_t context;
} ContextMade;
typedef struct {
    XrStructureType type;
    const void *next;
    XrSpace space;
    XrTime time;
    XrPosef pose;
} AnchorInfo;
typedef struct {
    XrStructureType type;
    const void *next;
    uint32_t entity_count;
    const uint64_t *entities;
} SnapshotInfo;
typedef struct {
    XrStructureType type;
    void *next;
    uint32_t count;
    XrPosef *poses;
} AnchorList;
typedef struct {
    XrStructureType type;
    AnchorList *next;
    uint32_t id_room, id_count;
    uint64_t *ids;
    uint32_t state_room, state_count;
    int32_t *states;
} QueryResult;

static XRAPI_ATTR XrResult XRAPI_CALL capabilities(XrInstance i, XrSystemId y, uint32_t n, uint32_t *c, int32_t *o) {
    (void)i, (void)y;
    *c = 1;
    if (n > 0) o[0] = CAN_ANCHOR;
    return XR_SUCCESS;
}
static XRAPI_ATTR XrResult XRAPI_CALL ask_context(XrSession s, const void *i, uint64_t *o) {
    (void)s, (void)i;
    polls = 0;
    *o = FUTURE;
    return XR_SUCCESS;
}
static XRAPI_ATTR XrResult XRAPI_CALL poll_future(XrInstance i, const void *a, PollResult *o) {
    (void)i, (void)a;
    o->state = ++polls < 5 ? 1 : 2;
    return XR_SUCCESS;
}
static XRAPI_ATTR XrResult XRAPI_CALL take_context(XrSession s, uint64_t future, ContextMade *o) {
    (void)s;
    if (future != FUTURE || polls < 5) return XR_ERROR_VALIDATION_FAILURE;
    o->result = XR_SUCCESS;
    o->context = CONTEXT;
    has_context = 1;
    return XR_SUCCESS;
}
static XRAPI_ATTR XrResult XRAPI_CALL make_anchor(uint64_t c, const AnchorInfo *i, uint64_t *id, uint64_t *o) {
    if (c != CONTEXT || !has_context || has_anchor || !i->space) return XR_ERROR_VALIDATION_FAILURE;
    anchor = i->pose;
    anchor.position.x -= aside();
    *id = 1;
    *o = ENTITY;
    has_anchor = 1;
    return XR_SUCCESS;
}
static XRAPI_ATTR XrResult XRAPI_CALL make_snapshot(uint64_t c, const SnapshotInfo *i, uint64_t *o) {
    if (c != CONTEXT || !has_anchor || i->entity_count != 1 || *i->entities != ENTITY || snapshots)
        return XR_ERROR_VALIDATION_FAILURE;
    *o = SNAPSHOT;
    snapshots++;
    return XR_SUCCESS;
}
static XRAPI_ATTR XrResult XRAPI_CALL query(uint64_t snapshot, const void *c, QueryResult *o) {
    (void)c;
    if (snapshot != SNAPSHOT || o->id_room < 1 || o->state_room < 1 || !o->next || o->next->count < 1)
        return XR_ERROR_VALIDATION_FAILURE;
    o->id_count = o->state_count = 1;
    o->ids[0] = 1;
    o->states[0] = TRACKED;
    o->next->poses[0] = anchor;
    o->next->poses[0].position.x += aside() + (wanted() == 'D' ? 0.25f : 0);
    return XR_SUCCESS;
}
static XRAPI_ATTR XrResult XRAPI_CALL end_snapshot(uint64_t s) { return s == SNAPSHOT && snapshots-- == 1 ? XR_SUCCESS : XR_ERROR_HANDLE_INVALID; }
static XRAPI_ATTR XrResult XRAPI_CALL end_entity(uint64_t e) {
    if (e != ENTITY || !has_anchor) return XR_ERROR_HANDLE_INVALID;
    has_anchor = 0;
    return XR_SUCCESS;
}
static XRAPI_ATTR XrResult XRAPI_CALL end_context(uint64_t c) {
    if (c != CONTEXT || !has_context || has_anchor) return XR_ERROR_HANDLE_INVALID;
    has_context = 0;
    return XR_SUCCESS;
}
/* What is asked for and nobody here needs. */
static XRAPI_ATTR XrResult XRAPI_CALL nothing(void) { return XR_ERROR_FUNCTION_UNSUPPORTED; }

static PFN_xrVoidFunction anchor_function(const char *name) {
    static const struct {
        const char *name;
        PFN_xrVoidFunction ours;
    } OURS[] = {
        {"xrEnumerateSpatialCapabilitiesEXT", (PFN_xrVoidFunction)capabilities},
        {"xrCreateSpatialContextAsyncEXT", (PFN_xrVoidFunction)ask_context},
        {"xrCreateSpatialContextCompleteEXT", (PFN_xrVoidFunction)take_context},
        {"xrPollFutureEXT", (PFN_xrVoidFunction)poll_future},
        {"xrCancelFutureEXT", (PFN_xrVoidFunction)nothing},
        {"xrCreateSpatialAnchorEXT", (PFN_xrVoidFunction)make_anchor},
        {"xrCreateSpatialUpdateSnapshotEXT", (PFN_xrVoidFunction)make_snapshot},
        {"xrQuerySpatialComponentDataEXT", (PFN_xrVoidFunction)query},
        {"xrDestroySpatialSnapshotEXT", (PFN_xrVoidFunction)end_snapshot},
        {"xrDestroySpatialEntityEXT", (PFN_xrVoidFunction)end_entity},
        {"xrDestroySpatialContextEXT", (PFN_xrVoidFunction)end_context},
    };
    if (!getenv("GEMBA_XR_ANCHOR")) return NULL;
    for (size_t at = 0; at < sizeof OURS / sizeof *OURS; at++)
        if (!strcmp(name, OURS[at].name)) return OURS[at].ours;
    return strstr(name, "Spatial") ? (PFN_xrVoidFunction)nothing : NULL;
}
