(function () {
  var polar = new URL(document.currentScript.src).origin;
  function show(link) {
    var url = new URL(link.getAttribute("href") || link.getAttribute("data-polar-checkout"));
    var theme = link.getAttribute("data-polar-checkout-theme");
    url.searchParams.set("embed", "true");
    url.searchParams.set("embed_origin", location.origin);
    if (theme) url.searchParams.set("theme", theme);
    var frame = document.createElement("iframe"), confirmed = false;
    frame.src = url.href;
    frame.style.cssText = "position:fixed;inset:0;width:100%;height:100%;border:0;z-index:2147483647;background:rgba(0,0,0,.5)";
    window.addEventListener("message", function hear(e) {
      if (e.origin !== polar || e.source !== frame.contentWindow || !e.data || e.data.type !== "POLAR_CHECKOUT") return;
      if (e.data.event === "confirmed") confirmed = true;
      if (e.data.event === "success") {
        confirmed = false;
        if (e.data.redirect) location.href = e.data.successURL;
      }
      if (e.data.event === "close" && !confirmed) {
        window.removeEventListener("message", hear);
        frame.remove();
      }
    });
    document.body.appendChild(frame);
  }
  document.addEventListener("click", function (e) {
    var link = e.target.closest("[data-polar-checkout]");
    if (!link) return;
    e.preventDefault();
    show(link);
  });
})();
