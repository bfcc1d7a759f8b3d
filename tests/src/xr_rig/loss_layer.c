/* An OpenXR API layer that stands between the viewer and the runtime and lets what a headset's owner knows happen on
 * command: the session is lost, or the whole runtime dies and is away for a while. For tests only.
 *
 * The file named by GEMBA_XR_LOSS says what happens: its first letter is
 *   S  the session is lost: whatever is asked of it fails, until another is made
 *   P  the runtime announces a loss (LOSS_PENDING), once a session
 *   R  the runtime has died: whatever is asked fails, and nobody can connect while the file says so
 *   V  the runtime's own menu is open: the session is only VISIBLE, and FOCUSED again when the file is gone
 *   A  the headset has been taken off (XR_EXT_user_presence), and is put on again when the file is gone
 *   C  the person has recentred: the tracking space lies 0.4 m further to the left, for as long as the file says so
 *   G  the person looks to the left, as a headset knows that sees their eyes
 *   D  the headset has learnt its room better: what it holds still lies 0.25 m further to the right, as long as that
 * With no such file everything goes through. With GEMBA_XR_OLD set it knows OpenXR 1.0 only. Besides, it gives what this
 * runtime lacks: a visibility mask, which hides the outer half of either eye (not with insets: what they show is looked
 * at); with GEMBA_XR_ROOM set, the blend mode of a headset with cameras, whose frames must come
 * with alpha; with GEMBA_XR_BARE set, bare hands: nothing with buttons is in them; with GEMBA_XR_INSET set, the views of a
 * headset with foveated insets, of which the runtime below is given the wide ones, and if it is `gaze` insets that follow
 * it (XR_VARJO_foveated_rendering, which its manifest then offers); and with GEMBA_XR_ANCHOR set, one
 * spatial anchor (XR_EXT_spatial_anchor, which its manifest then offers). What is destroyed goes through always, so that
 * the real runtime below can let go of its devices.
 *
 * The loader's structures are those of the OpenXR loader's interface, version 1 (Khronos, "Loader Design"). */
#include <math.h>
#include <openxr/openxr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int type;
    uint32_t version;
    size_t size;
    uint32_t min_interface, max_interface;
    XrVersion min_api, max_api;
} LoaderInfo;

typedef struct NextInfo {
    int type;
    uint32_t version;
    size_t size;
    char layer_name[XR_MAX_API_LAYER_NAME_SIZE];
    PFN_xrGetInstanceProcAddr next_get;
    XrResult(XRAPI_PTR *next_create)(const XrInstanceCreateInfo *, const void *, XrInstance *);
    struct NextInfo *next;
} NextInfo;

typedef struct {
    int type;
    uint32_t version;
    size_t size;
    XrInstance loader;
    char settings[512];
    NextInfo *next_info;
} CreateInfo;

typedef struct {
    int type;
    uint32_t version;
    size_t size;
    uint32_t interface_version;
    XrVersion api_version;
    PFN_xrGetInstanceProcAddr get;
    XrResult(XRAPI_PTR *create)(const XrInstanceCreateInfo *, const void *, XrInstance *);
} LayerRequest;

static PFN_xrGetInstanceProcAddr below;
static XrInstance instance;
/* Once dead, dead: another session, or another instance, begins anew. */
static int instance_is_dead, session_is_dead, loss_is_announced;
static XrSession session;

/* Of V, A and C the one that the app has been told of. */
static char told;

/* What is to happen now: one of the letters above, or nothing. */
static char wanted(void) {
    const char *path = getenv("GEMBA_XR_LOSS");
    FILE *file = path ? fopen(path, "r") : NULL;
    int letter = file ? fgetc(file) : EOF;
    if (file) fclose(file);
    return letter == EOF ? 0 : (char)letter;
}

static XrResult fate(void) {
    char now = wanted();
    if (now == 'R') instance_is_dead = 1;
    if (now == 'S') session_is_dead = 1;
    if (instance_is_dead) return XR_ERROR_INSTANCE_LOST;
    return session_is_dead ? XR_ERROR_SESSION_LOST : XR_SUCCESS;
}

static PFN_xrVoidFunction find(const char *name) {
    PFN_xrVoidFunction found = NULL;
    return below(instance, name, &found) == XR_SUCCESS ? found : NULL;
}

#define THROUGH(NAME, ...)                                     \
    do {                                                       \
        XrResult now = fate();                                 \
        if (now != XR_SUCCESS) return now;                     \
        PFN_##NAME next = (PFN_##NAME)find(#NAME);             \
        return next ? next(__VA_ARGS__) : XR_ERROR_FUNCTION_UNSUPPORTED; \
    } while (0)

static XRAPI_ATTR XrResult XRAPI_CALL wait_frame(XrSession s, const XrFrameWaitInfo *i, XrFrameState *o) {
    THROUGH(xrWaitFrame, s, i, o);
}
static XRAPI_ATTR XrResult XRAPI_CALL begin_frame(XrSession s, const XrFrameBeginInfo *i) {
    THROUGH(xrBeginFrame, s, i);
}
static XRAPI_ATTR XrResult XRAPI_CALL end_frame_below(XrSession s, const XrFrameEndInfo *i) { THROUGH(xrEndFrame, s, i); }

#include "insets.h"

static XRAPI_ATTR XrResult XRAPI_CALL end_frame(XrSession s, const XrFrameEndInfo *i) {
    XrFrameEndInfo opaque = *i;
    const XrCompositionLayerBaseHeader *layers[16];
    XrCompositionLayerProjection wide[16];
    for (uint32_t at = 0; at < i->layerCount && at < 16; at++)
        if (!(layers[at] = without_insets(i->layers[at], &wide[at]))) return XR_ERROR_VALIDATION_FAILURE;
    opaque.layers = layers;
    if (getenv("GEMBA_XR_ROOM") && i->environmentBlendMode == XR_ENVIRONMENT_BLEND_MODE_ALPHA_BLEND) {
        for (uint32_t at = 0; at < i->layerCount; at++)
            if (!(i->layers[at]->layerFlags & XR_COMPOSITION_LAYER_BLEND_TEXTURE_SOURCE_ALPHA_BIT))
                return XR_ERROR_VALIDATION_FAILURE;
        opaque.environmentBlendMode = XR_ENVIRONMENT_BLEND_MODE_OPAQUE;
    }
    return end_frame_below(s, &opaque);
}
static XRAPI_ATTR XrResult XRAPI_CALL blend_modes_below(XrInstance i, XrSystemId y, XrViewConfigurationType t, uint32_t n,
                                                        uint32_t *c, XrEnvironmentBlendMode *o) {
    THROUGH(xrEnumerateEnvironmentBlendModes, i, y, t, n, c, o);
}
static XRAPI_ATTR XrResult XRAPI_CALL blend_modes(XrInstance i, XrSystemId y, XrViewConfigurationType t, uint32_t n,
                                                  uint32_t *c, XrEnvironmentBlendMode *o) {
    if (!getenv("GEMBA_XR_ROOM")) return blend_modes_below(i, y, plain(t), n, c, o);
    *c = 2;
    if (n == 0) return XR_SUCCESS;
    if (n < 2) return XR_ERROR_SIZE_INSUFFICIENT;
    o[0] = XR_ENVIRONMENT_BLEND_MODE_OPAQUE;
    o[1] = XR_ENVIRONMENT_BLEND_MODE_ALPHA_BLEND;
    return XR_SUCCESS;
}
/* How far the tracking space lies to the left of the runtime's. */
static float aside(void) { return told == 'C' ? 0.4f : 0; }

static XRAPI_ATTR XrResult XRAPI_CALL locate_views_below(XrSession s, const XrViewLocateInfo *i, XrViewState *v,
                                                         uint32_t n, uint32_t *c, XrView *o) {
    THROUGH(xrLocateViews, s, i, v, n, c, o);
}
static XRAPI_ATTR XrResult XRAPI_CALL locate_views(XrSession s, const XrViewLocateInfo *i, XrViewState *v, uint32_t n,
                                                   uint32_t *c, XrView *o) {
    XrViewLocateInfo info = *i;
    GazeWord *word = gaze_word(i->next, LOCATE_GAZE);
    int is_left = word && word->is_so && wanted() == 'G';
    info.viewConfigurationType = plain(i->viewConfigurationType);
    int with_insets = info.viewConfigurationType != i->viewConfigurationType;
    if (with_insets && n > 0 && n < 4) return XR_ERROR_SIZE_INSUFFICIENT;
    XrResult found = locate_views_below(s, &info, v, with_insets && n > 0 ? 2 : n, c, o);
    if (with_insets && found == XR_SUCCESS) {
        *c = 4;
        for (uint32_t at = 0; n > 0 && at < 2; at++) {
            XrFovf *wide = &o[at].fov, *inset = &o[at + 2].fov;
            o[at + 2].pose = o[at].pose;
            half_of(wide->angleLeft, wide->angleRight, is_left ? 0 : 1, &inset->angleLeft, &inset->angleRight);
            half_of(wide->angleDown, wide->angleUp, 1, &inset->angleDown, &inset->angleUp);
        }
    }
    for (uint32_t at = 0; found == XR_SUCCESS && at < n; at++) o[at].pose.position.x += aside();
    return found;
}
static XRAPI_ATTR XrResult XRAPI_CALL locate_space_below(XrSpace s, XrSpace b, XrTime t, XrSpaceLocation *o) {
    THROUGH(xrLocateSpace, s, b, t, o);
}
static XRAPI_ATTR XrResult XRAPI_CALL locate_space(XrSpace s, XrSpace b, XrTime t, XrSpaceLocation *o) {
    XrResult found = locate_space_below(s, b, t, o);
    if (found == XR_SUCCESS) o->pose.position.x += aside();
    return found;
}
static XRAPI_ATTR XrResult XRAPI_CALL sync_actions(XrSession s, const XrActionsSyncInfo *i) {
    THROUGH(xrSyncActions, s, i);
}
static XRAPI_ATTR XrResult XRAPI_CALL profile_below(XrSession s, XrPath p, XrInteractionProfileState *o) {
    THROUGH(xrGetCurrentInteractionProfile, s, p, o);
}
static XRAPI_ATTR XrResult XRAPI_CALL profile(XrSession s, XrPath p, XrInteractionProfileState *o) {
    XrResult found = profile_below(s, p, o);
    PFN_xrStringToPath path = (PFN_xrStringToPath)find("xrStringToPath");
    if (found != XR_SUCCESS || !path || !getenv("GEMBA_XR_BARE")) return found;
    return path(instance, "/interaction_profiles/ext/hand_interaction_ext", &o->interactionProfile);
}
static XRAPI_ATTR XrResult XRAPI_CALL acquire(XrSwapchain s, const XrSwapchainImageAcquireInfo *i, uint32_t *o) {
    THROUGH(xrAcquireSwapchainImage, s, i, o);
}
static XRAPI_ATTR XrResult XRAPI_CALL wait_image(XrSwapchain s, const XrSwapchainImageWaitInfo *i) {
    THROUGH(xrWaitSwapchainImage, s, i);
}
static XRAPI_ATTR XrResult XRAPI_CALL release(XrSwapchain s, const XrSwapchainImageReleaseInfo *i) {
    THROUGH(xrReleaseSwapchainImage, s, i);
}
static XRAPI_ATTR XrResult XRAPI_CALL begin_session(XrSession s, const XrSessionBeginInfo *i) {
    XrSessionBeginInfo info = *i;
    info.primaryViewConfigurationType = plain(i->primaryViewConfigurationType);
    THROUGH(xrBeginSession, s, &info);
}

static XRAPI_ATTR XrResult XRAPI_CALL get_system(XrInstance i, const XrSystemGetInfo *g, XrSystemId *o) {
    THROUGH(xrGetSystem, i, g, o);
}

static XRAPI_ATTR XrResult XRAPI_CALL create_session(XrInstance i, const XrSessionCreateInfo *c, XrSession *o) {
    if (wanted() == 'R') instance_is_dead = 1;
    if (instance_is_dead) return XR_ERROR_INSTANCE_LOST;
    PFN_xrCreateSession next = (PFN_xrCreateSession)find("xrCreateSession");
    XrResult made = next ? next(i, c, o) : XR_ERROR_FUNCTION_UNSUPPORTED;
    if (made == XR_SUCCESS) {
        session = *o;
        session_is_dead = loss_is_announced = 0;
        told = 0;
    }
    return made;
}

#include "anchor.h"

static void state_event(XrEventDataBuffer *o, XrSessionState state) {
    XrEventDataSessionStateChanged *event = (XrEventDataSessionStateChanged *)o;
    event->type = XR_TYPE_EVENT_DATA_SESSION_STATE_CHANGED;
    event->next = NULL;
    event->session = session;
    event->state = state;
    event->time = 0;
}

/* XR_EXT_user_presence, which this header may be too old for. */
static void presence_event(XrEventDataBuffer *o, XrBool32 is_present) {
    struct {
        XrStructureType type;
        const void *next;
        XrSession session;
        XrBool32 is_present;
    } *event = (void *)o;
    event->type = (XrStructureType)1000470000;
    event->next = NULL;
    event->session = session;
    event->is_present = is_present;
}

static void recentre_event(XrEventDataBuffer *o) {
    XrEventDataReferenceSpaceChangePending *event = (XrEventDataReferenceSpaceChangePending *)o;
    event->type = XR_TYPE_EVENT_DATA_REFERENCE_SPACE_CHANGE_PENDING;
    event->next = NULL;
    event->session = session;
    event->referenceSpaceType = XR_REFERENCE_SPACE_TYPE_STAGE;
    event->changeTime = 0;
    event->poseValid = XR_FALSE;
}

/* Whether there is news of the menu, of who wears the headset, or of where the tracking space lies. */
static int news(XrEventDataBuffer *o) {
    char now = wanted();
    char begins = now == 'V' || now == 'A' || now == 'C' ? now : 0;
    if (begins == told) return 0;
    char turns = begins ? begins : told;
    told = begins;
    if (turns == 'V') state_event(o, begins ? XR_SESSION_STATE_VISIBLE : XR_SESSION_STATE_FOCUSED);
    if (turns == 'A') presence_event(o, !begins);
    if (turns == 'C') recentre_event(o);
    return 1;
}

static XRAPI_ATTR XrResult XRAPI_CALL poll_event(XrInstance i, XrEventDataBuffer *o) {
    XrResult now = fate();
    /* Events are the instance's: a lost session says so in its other answers. */
    if (now == XR_ERROR_INSTANCE_LOST) return now;
    if (wanted() == 'P' && !loss_is_announced) {
        loss_is_announced = 1;
        state_event(o, XR_SESSION_STATE_LOSS_PENDING);
        return XR_SUCCESS;
    }
    if (news(o)) return XR_SUCCESS;
    PFN_xrPollEvent next = (PFN_xrPollEvent)find("xrPollEvent");
    return next ? next(i, o) : XR_ERROR_FUNCTION_UNSUPPORTED;
}

/* Two triangles from the middle far to the outer side: left of the left eye, right of the right one. */
static XRAPI_ATTR XrResult XRAPI_CALL mask(XrSession s, XrViewConfigurationType c, uint32_t eye,
                                           XrVisibilityMaskTypeKHR kind, XrVisibilityMaskKHR *o) {
    (void)s, (void)c;
    if (has_insets()) {
        o->vertexCountOutput = o->indexCountOutput = 0;
        return XR_SUCCESS;
    }
    static const uint32_t CORNERS[] = {0, 1, 2, 2, 1, 3};
    float far = eye == 0 ? -9 : 9;
    XrVector2f places[] = {{0, -9}, {0, 9}, {far, -9}, {far, 9}};
    if (kind != XR_VISIBILITY_MASK_TYPE_HIDDEN_TRIANGLE_MESH_KHR) return XR_ERROR_VALIDATION_FAILURE;
    o->vertexCountOutput = 4;
    o->indexCountOutput = 6;
    if (!o->vertexCapacityInput && !o->indexCapacityInput) return XR_SUCCESS;
    if (o->vertexCapacityInput < 4 || o->indexCapacityInput < 6) return XR_ERROR_SIZE_INSUFFICIENT;
    memcpy(o->vertices, places, sizeof places);
    memcpy(o->indices, CORNERS, sizeof CORNERS);
    return XR_SUCCESS;
}

static XRAPI_ATTR XrResult XRAPI_CALL get(XrInstance i, const char *name, PFN_xrVoidFunction *o) {
    static const struct {
        const char *name;
        PFN_xrVoidFunction ours;
    } OURS[] = {
        {"xrGetInstanceProcAddr", (PFN_xrVoidFunction)get},
        {"xrGetSystem", (PFN_xrVoidFunction)get_system},
        {"xrGetSystemProperties", (PFN_xrVoidFunction)properties},
        {"xrCreateSession", (PFN_xrVoidFunction)create_session},
        {"xrBeginSession", (PFN_xrVoidFunction)begin_session},
        {"xrPollEvent", (PFN_xrVoidFunction)poll_event},
        {"xrWaitFrame", (PFN_xrVoidFunction)wait_frame},
        {"xrBeginFrame", (PFN_xrVoidFunction)begin_frame},
        {"xrEndFrame", (PFN_xrVoidFunction)end_frame},
        {"xrEnumerateViewConfigurations", (PFN_xrVoidFunction)view_kinds},
        {"xrEnumerateViewConfigurationViews", (PFN_xrVoidFunction)view_sizes},
        {"xrEnumerateEnvironmentBlendModes", (PFN_xrVoidFunction)blend_modes},
        {"xrLocateViews", (PFN_xrVoidFunction)locate_views},
        {"xrLocateSpace", (PFN_xrVoidFunction)locate_space},
        {"xrSyncActions", (PFN_xrVoidFunction)sync_actions},
        {"xrGetCurrentInteractionProfile", (PFN_xrVoidFunction)profile},
        {"xrAcquireSwapchainImage", (PFN_xrVoidFunction)acquire},
        {"xrWaitSwapchainImage", (PFN_xrVoidFunction)wait_image},
        {"xrReleaseSwapchainImage", (PFN_xrVoidFunction)release},
        {"xrGetVisibilityMaskKHR", (PFN_xrVoidFunction)mask},
    };
    for (size_t at = 0; at < sizeof OURS / sizeof *OURS; at++)
        if (!strcmp(name, OURS[at].name)) {
            *o = OURS[at].ours;
            return XR_SUCCESS;
        }
    PFN_xrVoidFunction ours = anchor_function(name);
    if (!ours) return below(i, name, o);
    *o = ours;
    return XR_SUCCESS;
}

static XRAPI_ATTR XrResult XRAPI_CALL create(const XrInstanceCreateInfo *info, const void *layer, XrInstance *o) {
    const CreateInfo *from = layer;
    if (wanted() == 'R') return XR_ERROR_RUNTIME_UNAVAILABLE;
    /* A runtime of before 2024. */
    if (getenv("GEMBA_XR_OLD") && info->applicationInfo.apiVersion >= XR_MAKE_VERSION(1, 1, 0))
        return XR_ERROR_API_VERSION_UNSUPPORTED;
    CreateInfo deeper = *from;
    deeper.next_info = from->next_info->next;
    below = from->next_info->next_get;
    /* What the layer offers the runtime below has not heard of. */
    XrInstanceCreateInfo less = *info;
    const char *names[64];
    less.enabledExtensionCount = 0;
    less.enabledExtensionNames = names;
    for (uint32_t at = 0; at < info->enabledExtensionCount && at < 64; at++) {
        const char *name = info->enabledExtensionNames[at];
        int is_ours = (getenv("GEMBA_XR_ANCHOR") && (strstr(name, "XR_EXT_spatial") || strstr(name, "XR_EXT_future"))) ||
                      (has_insets() && strstr(name, "XR_VARJO_"));
        if (!is_ours) names[less.enabledExtensionCount++] = name;
    }
    XrResult made = from->next_info->next_create(&less, &deeper, o);
    if (made == XR_SUCCESS) {
        instance = *o;
        instance_is_dead = session_is_dead = loss_is_announced = 0;
    }
    return made;
}

__attribute__((visibility("default"))) XRAPI_ATTR XrResult XRAPI_CALL
xrNegotiateLoaderApiLayerInterface(const LoaderInfo *loader, const char *name, LayerRequest *request) {
    (void)loader, (void)name;
    request->interface_version = 1;
    request->api_version = XR_CURRENT_API_VERSION;
    request->get = get;
    request->create = create;
    return XR_SUCCESS;
}
