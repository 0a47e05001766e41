(function () {
  var d = document.body.dataset, framed = window.parent !== window;
  function tell(message) {
    message.type = "POLAR_CHECKOUT";
    window.parent.postMessage(message, d.origin);
  }
  if (framed) JSON.parse(d.messages).forEach(tell);
  var close = document.getElementById("close");
  if (close && framed && !d.next) {
    close.hidden = false;
    close.addEventListener("click", function () { tell({ event: "close" }); });
  }
  if (d.next && (!framed || d.stay)) location.replace(d.next);
})();
