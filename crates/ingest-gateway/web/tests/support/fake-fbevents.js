// Stands for https://connect.facebook.net/en_US/fbevents.js as of 2.9.349 to 2.9.412: drains the stub's
// queue, honours
// consent, writes _fbp, and has the automatisms that the real one has when nobody switches them off.
(() => {
  const { fbq } = window;
  const sent = (window.pixelSent ||= []);
  let revoked = false;
  let held = [];
  const send = (name, options = {}) => sent.push({ name, eventID: options.eventID, dl: location.href });
  const run = (command, ...said) => {
    if (command == 'consent') {
      revoked = said[0] == 'revoke';
      if (!revoked) held.splice(0).forEach((call) => run(...call));
    } else if (revoked) {
      if (command != 'init' && command != 'set') held.push([command, ...said]);
    } else if (command == 'init') {
      if (!/_fbp=/.test(document.cookie)) document.cookie = '_fbp=fb.1.' + Date.now() + '.123; path=/';
    } else if (/^trackSingle/.test(command)) {
      const [, name, , options] = said;
      if (
        name == 'PageView' &&
        sent.some((call) => call.name == 'PageView') &&
        !fbq.allowDuplicatePageViews
      )
        return;
      send(name, options);
    } else if (/^track/.test(command)) send(said[0], said[2]);
  };
  fbq.callMethod = function (...said) {
    run(...said);
  };
  fbq.queue.splice(0).forEach((said) => run(...said));
  let before = location.href;
  const moved = () => {
    if (location.href != before && !fbq.disablePushState) send('PageView');
    before = location.href;
  };
  for (const name of ['pushState', 'replaceState']) {
    const original = history[name];
    history[name] = function (...said) {
      original.apply(this, said);
      moved();
    };
  }
  addEventListener('popstate', moved);
  addEventListener('pageshow', (event) => event.persisted && send('PageView'));
})();
