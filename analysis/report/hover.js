// A pointer over a chart is told the nearest value: spots are [x, y, text], shares of the picture from its top left.
for (const plot of document.querySelectorAll('.plot')) {
  let spots, dot, tip;
  const begin = () => {
    spots = JSON.parse(plot.dataset.spots || '[]');
    dot = plot.appendChild(document.createElement('i'));
    tip = plot.appendChild(document.createElement('div'));
    dot.className = 'dot';
    tip.className = 'tip';
    tip.setAttribute('role', 'status');
  };
  const hide = () => { if (dot) dot.hidden = tip.hidden = true; };
  const show = event => {
    if (!spots) begin();
    const box = plot.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let best, least = 40 * 40;
    for (const spot of spots) {
      const away = (spot[0] * box.width - x) ** 2 + (spot[1] * box.height - y) ** 2;
      if (away < least) [best, least] = [spot, away];
    }
    if (!best) return hide();
    dot.hidden = tip.hidden = false;
    tip.textContent = best[2];
    dot.style.left = tip.style.left = 100 * best[0] + '%';
    dot.style.top = tip.style.top = 100 * best[1] + '%';
    tip.classList.toggle('left', best[0] > .5);
    tip.classList.toggle('below', best[1] < .2);
  };
  plot.addEventListener('pointermove', show);
  plot.addEventListener('pointerdown', show);
  plot.addEventListener('pointerleave', hide);
}
