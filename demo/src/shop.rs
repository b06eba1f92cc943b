//! What the shop sells, and what a cart is.

use std::collections::BTreeMap;
use std::future::ready;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use session_core::{Key, Session, SessionError};

/// A tea on the shelf.
#[derive(Debug)]
pub(crate) struct Tea {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) note: &'static str,
    pub(crate) cents: u32,
}

/// The shelf.
pub(crate) const TEAS: [Tea; 6] = [
    tea("assam", "Assam", "Malty, strong, takes milk", 540),
    tea(
        "darjeeling",
        "Darjeeling",
        "First flush, light and floral",
        890,
    ),
    tea("earl-grey", "Earl Grey", "Black tea with bergamot", 620),
    tea("lapsang", "Lapsang Souchong", "Dried over pine smoke", 710),
    tea("rooibos", "Rooibos", "No caffeine, a little sweet", 480),
    tea("sencha", "Sencha", "Green, steamed, grassy", 760),
];

const fn tea(id: &'static str, name: &'static str, note: &'static str, cents: u32) -> Tea {
    Tea {
        id,
        name,
        note,
        cents,
    }
}

/// How often this visitor saw the shelf.
pub(crate) const VISITS: Key<u64> = Key::new("visits");

/// What the visitor wants to buy.
pub(crate) const CART: Key<Cart> = Key::new("cart");

/// How many of which tea.
pub(crate) type Cart = BTreeMap<String, u32>;

/// Reads an entry. One that no longer decodes, of an older version of the shop, is as good as none.
pub(crate) async fn read<T: DeserializeOwned>(
    session: &Session,
    key: Key<T>,
) -> Result<Option<T>, SessionError> {
    match session.get(key).await {
        Err(SessionError::Decode { .. }) => Ok(None),
        read => read,
    }
}

/// Reads, changes and writes an entry as one step: what another tab does at the same time stays. One that
/// no longer decodes is begun anew.
pub(crate) async fn update<T: Serialize + DeserializeOwned>(
    session: &Session,
    key: Key<T>,
    change: impl Fn(Option<T>) -> T,
) -> Result<T, SessionError> {
    let update = || session.update(key, |value| ready(change(value)));
    match update().await {
        Err(SessionError::Decode { .. }) => {
            let _ = session.remove::<IgnoredAny>(key.name()).await?;
            update().await
        }
        updated => updated,
    }
}

/// The most of one tea that a cart takes.
const MOST: u32 = 99;

/// The tea of this id.
pub(crate) fn find(id: &str) -> Option<&'static Tea> {
    TEAS.iter().find(|tea| tea.id == id)
}

/// Puts one more into the cart.
pub(crate) fn add(cart: &mut Cart, tea: &Tea) {
    let count = cart.entry(tea.id.to_owned()).or_default();
    *count = count.saturating_add(1).min(MOST);
}

/// Takes one out of the cart.
pub(crate) fn remove(cart: &mut Cart, tea: &Tea) {
    if let Some(count) = cart.get_mut(tea.id) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            cart.remove(tea.id);
        }
    }
}

/// The teas in the cart that the shop knows, and how many of each.
pub(crate) fn lines(cart: &Cart) -> impl Iterator<Item = (&'static Tea, u32)> {
    cart.iter()
        .filter_map(|(id, count)| Some((find(id)?, *count)))
}

/// What all of it costs, in cents.
pub(crate) fn total(cart: &Cart) -> u32 {
    lines(cart).fold(0, |sum, (tea, count)| {
        sum.saturating_add(tea.cents.saturating_mul(count))
    })
}

/// A price as people write it.
pub(crate) fn price(cents: u32) -> String {
    format!("€ {}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_removed_is_gone() {
        let mut cart = Cart::new();
        let tea = find("assam").unwrap();
        add(&mut cart, tea);
        add(&mut cart, tea);
        assert_eq!(total(&cart), 1_080);
        remove(&mut cart, tea);
        remove(&mut cart, tea);
        remove(&mut cart, tea);
        assert!(cart.is_empty());
    }

    #[test]
    fn a_tea_that_is_no_longer_sold_costs_nothing() {
        assert_eq!(total(&Cart::from([("gone".to_owned(), 3)])), 0);
    }

    #[test]
    fn prices_have_two_decimals() {
        assert_eq!(price(1_005), "€ 10.05");
    }
}
