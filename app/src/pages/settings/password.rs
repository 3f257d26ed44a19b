//! Changing the password.

use crate::call::{PostForm, Posted};
use crate::server_fns::account::CHANGE_PASSWORD;
use crate::texts::{T, t};
use leptos::prelude::*;
use ui::components::{ErrorState, Notice, Tone};

#[component]
pub(super) fn Password() -> AnyView {
    let change = Posted::new(&CHANGE_PASSWORD);
    let form = NodeRef::<leptos::html::Form>::new();
    Effect::new(move |_| {
        if matches!(change.value(), Some(Ok(Ok(()))))
            && let Some(form) = form.get_untracked()
        {
            form.reset();
        }
    });
    let me = crate::boot::use_session().me;
    let email = me.with_untracked(|me| me.as_ref().and_then(|me| me.user.as_ref().map(|u| u.email.clone())));
    let said = move || {
        change.value().map(Result::flatten).map(|result| match result {
            Ok(()) => view! { <Notice tone=Tone::Ok>{t(T::password_changed)}</Notice> }.into_any(),
            Err(error) => view! { <ErrorState problem=*error.0 /> }.into_any(),
        })
    };
    view! {
        <section class="card pad" aria-labelledby="password">
            <h2 id="password">{t(T::password)}</h2>
            {said}
            <PostForm form=change class="form" node_ref=form>
                // Tells password managers whose password it is; not sent.
                <input type="email" autocomplete="username" value=email readonly hidden />
                <div class="field">
                    <label for="pw-current">{t(T::password_current)}</label>
                    <input
                        class="input"
                        id="pw-current"
                        name="current"
                        type="password"
                        autocomplete="current-password"
                        required
                    />
                </div>
                <div class="field">
                    <label for="pw-new">{t(T::password_new)}</label>
                    <input
                        class="input"
                        id="pw-new"
                        name="new"
                        type="password"
                        autocomplete="new-password"
                        minlength="10"
                        required
                        aria-describedby="pw-hint"
                    />
                    <span class="hint" id="pw-hint">
                        {t(T::password_hint)}
                    </span>
                </div>
                <div>
                    <button type="submit" class="btn primary">
                        {t(T::password_change)}
                    </button>
                </div>
            </PostForm>
        </section>
    }
    .into_any()
}
