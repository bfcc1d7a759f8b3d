/* A part of loss_layer.c, included there: foveated views, which the runtime below does not have. */

/* Insets: XR_VIEW_CONFIGURATION_TYPE_PRIMARY_STEREO_WITH_FOVEATED_INSET, by a name that old headers do not have. */
#define FOVEATED ((XrViewConfigurationType)1000037000)

static int has_insets(void) { return getenv("GEMBA_XR_INSET") != NULL; }
static int knows_gaze(void) { return has_insets() && !strcmp(getenv("GEMBA_XR_INSET"), "gaze"); }
/* What XR_VARJO_foveated_rendering puts behind a structure: all three of its own are alike. */
enum { LOCATE_GAZE = 1000121000, SIZE_FOR_GAZE, SYSTEM_KNOWS_GAZE };
typedef struct {
    XrStructureType type;
    void *next;
    XrBool32 is_so;
} GazeWord;
static GazeWord *gaze_word(const void *chain, int type) {
    GazeWord *word = (GazeWord *)chain;
    while (word && word->type != (XrStructureType)type) word = word->next;
    return knows_gaze() ? word : NULL;
}
static XRAPI_ATTR XrResult XRAPI_CALL properties_below(XrInstance i, XrSystemId y, XrSystemProperties *o) {
    THROUGH(xrGetSystemProperties, i, y, o);
}
static XRAPI_ATTR XrResult XRAPI_CALL properties(XrInstance i, XrSystemId y, XrSystemProperties *o) {
    GazeWord *word = gaze_word(o->next, SYSTEM_KNOWS_GAZE);
    if (word) word->is_so = XR_TRUE;
    return properties_below(i, y, o);
}
/* What the runtime below calls these views. */
static XrViewConfigurationType plain(XrViewConfigurationType kind) {
    return has_insets() && kind == FOVEATED ? XR_VIEW_CONFIGURATION_TYPE_PRIMARY_STEREO : kind;
}

static XRAPI_ATTR XrResult XRAPI_CALL view_kinds_below(XrInstance i, XrSystemId y, uint32_t n, uint32_t *c,
                                                       XrViewConfigurationType *o) {
    THROUGH(xrEnumerateViewConfigurations, i, y, n, c, o);
}
static XRAPI_ATTR XrResult XRAPI_CALL view_kinds(XrInstance i, XrSystemId y, uint32_t n, uint32_t *c,
                                                 XrViewConfigurationType *o) {
    if (!has_insets()) return view_kinds_below(i, y, n, c, o);
    *c = 2;
    if (n == 0) return XR_SUCCESS;
    if (n < 2) return XR_ERROR_SIZE_INSUFFICIENT;
    o[0] = XR_VIEW_CONFIGURATION_TYPE_PRIMARY_STEREO;
    o[1] = FOVEATED;
    return XR_SUCCESS;
}
static XRAPI_ATTR XrResult XRAPI_CALL view_sizes_below(XrInstance i, XrSystemId y, XrViewConfigurationType t, uint32_t n,
                                                       uint32_t *c, XrViewConfigurationView *o) {
    THROUGH(xrEnumerateViewConfigurationViews, i, y, t, n, c, o);
}
/* Wide views of half as many pixels along an edge as the runtime would have, and insets of three quarters. */
static XRAPI_ATTR XrResult XRAPI_CALL view_sizes(XrInstance i, XrSystemId y, XrViewConfigurationType t, uint32_t n,
                                                 uint32_t *c, XrViewConfigurationView *o) {
    if (!has_insets() || t != FOVEATED) return view_sizes_below(i, y, t, n, c, o);
    if (n > 0 && n < 4) return XR_ERROR_SIZE_INSUFFICIENT;
    if (n > 0) {
        /* Smaller, where they are known to be looked at. */
        GazeWord *word = gaze_word(o[2].next, SIZE_FOR_GAZE);
        uint32_t parts = word && word->is_so ? 2 : 3;
        void *behind[] = {o[0].next, o[1].next, o[2].next, o[3].next};
        XrResult found = view_sizes_below(i, y, XR_VIEW_CONFIGURATION_TYPE_PRIMARY_STEREO, 2, c, o);
        if (found != XR_SUCCESS) return found;
        for (uint32_t at = 0; at < 2; at++) {
            o[at + 2] = o[at];
            o[at + 2].next = behind[at + 2];
            o[at + 2].recommendedImageRectWidth = o[at].recommendedImageRectWidth * parts / 4;
            o[at + 2].recommendedImageRectHeight = o[at].recommendedImageRectHeight * parts / 4;
            o[at].recommendedImageRectWidth /= 2;
            o[at].recommendedImageRectHeight /= 2;
        }
    }
    *c = 4;
    return XR_SUCCESS;
}
/* Whether each inset is another image than the wide view of its eye, within that, and says of its depth what that does. */
static int are_insets_right(const XrCompositionLayerProjection *layer) {
    if (layer->viewCount != 4) return 0;
    for (uint32_t eye = 0; eye < 2; eye++) {
        const XrCompositionLayerProjectionView *wide = &layer->views[eye], *inset = &layer->views[eye + 2];
        if (wide->subImage.swapchain == inset->subImage.swapchain || inset->subImage.imageArrayIndex != eye) return 0;
        if (!(inset->fov.angleLeft >= wide->fov.angleLeft && inset->fov.angleRight < wide->fov.angleRight)) return 0;
        if (!wide->next != !inset->next) return 0;
        if (!inset->next) continue;
        const XrCompositionLayerDepthInfoKHR *depth = inset->next, *wide_depth = wide->next;
        if (depth->type != XR_TYPE_COMPOSITION_LAYER_DEPTH_INFO_KHR || depth->subImage.imageArrayIndex != eye ||
            depth->subImage.swapchain == wide_depth->subImage.swapchain)
            return 0;
    }
    return 1;
}
/* The wide views only; nothing if the insets are not as they must be. */
static const XrCompositionLayerBaseHeader *without_insets(const XrCompositionLayerBaseHeader *layer,
                                                          XrCompositionLayerProjection *wide) {
    if (!has_insets() || layer->type != XR_TYPE_COMPOSITION_LAYER_PROJECTION) return layer;
    *wide = *(const XrCompositionLayerProjection *)layer;
    if (!are_insets_right(wide)) return NULL;
    wide->viewCount = 2;
    return (const XrCompositionLayerBaseHeader *)wide;
}

/* Of what lies between two angles, as it is seen in a picture, the half that begins after so many quarters. */
static void half_of(float low, float high, int quarters, float *half_low, float *half_high) {
    float from = tanf(low), to = tanf(high), quarter = (to - from) / 4;
    *half_low = atanf(from + quarter * quarters);
    *half_high = atanf(from + quarter * (quarters + 2));
}
